// Package longconn keeps connections open and carries messages over them, with
// proof of arrival. It speaks MQTT 3.1.1 and 5 over TCP, TLS and WebSocket, and
// knows no business: who may come in, what a message means and what is worth
// keeping are its [Handler]'s affair.
//
// It has three layers. The codec (package mqtt) turns bytes into packets. The
// engine is the protocol of one connection: it is fed bytes and calls, and
// yields bytes and events; it has no lock, clock, goroutine or socket. A
// transport moves the bytes. There are two, which pass the same tests: loops on
// epoll, with no goroutine, timer or buffer for an idle connection, and one that
// spends a goroutine on each, for systems without epoll and for the doors of
// clients that have nothing but HTTP.
//
// What a device may rely on:
//
//   - The subscription to [Config.Inbox] exists from CONNECT on, at QoS 1.
//     Asking for it with QoS 2 is granted, with QoS 0 too but at QoS 1: what
//     nobody acknowledges is no proof. UNSUBSCRIBE ends it.
//   - A session outlives its connection for as long as the client asks and
//     [Config.SessionExpiry] allows: what is in flight is sent again with DUP on
//     the next connection to this process, and only then [MQTT-4.4.0-1].
//     Durable is what the handler keeps, and hands over again elsewhere.
//   - Wills are passed to the handler, as a publication of their own kind.
//   - Retained messages, wildcards and shared subscriptions are refused with
//     the reason that the specification has for it.
package longconn

import (
	"errors"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// Reasons why a message was not handed over; see [Conn].
var (
	ErrGone     = errors.New("longconn: connection is gone")           // not written
	ErrFull     = errors.New("longconn: window and queue are full")    // not written; Handler.Ready follows
	ErrExpired  = errors.New("longconn: message expired in the queue") // not written
	ErrReplaced = errors.New("longconn: a newer message took its place in the queue")
	ErrTooLarge = errors.New("longconn: message exceeds the packet limit")
	ErrBroken   = errors.New("longconn: connection broke while writing") // may have arrived
)

// Message is one thing to tell a device.
type Message struct {
	// ID names the message on its connection: a second one with the same ID is
	// taken as sent already.
	ID string
	// Payload must not change once given.
	Payload []byte
	// Expires is when the message stops being worth sending; zero means never.
	Expires time.Time
	// Topic is what it is published on; empty means [Config.Inbox].
	Topic string
	// Collapse, if set, names what the message is the latest word on: of those
	// that wait for a slow reader only the latest is kept.
	Collapse string
	// Lossy messages go out with QoS 0, without proof, and only if the client
	// keeps up.
	Lossy bool
	// Properties are for MQTT 5 clients; nil if there are none.
	Properties *mqtt.Properties
}

// Hello is a client asking to come in.
type Hello struct {
	// Serial orders the CONNECTs of one process: the later has the higher.
	Serial   uint64
	ClientID string // may be empty: then the server is to assign one
	Username string
	Password []byte // or, with [TokenAuth], the token
	Remote   string // the peer's network address
	Version  byte   // mqtt.V311 or mqtt.V5
	// Method is [TokenAuth], or empty.
	Method string
	// User are the user properties of CONNECT.
	User []mqtt.Pair
}

// Welcome lets a client in.
type Welcome struct {
	// Key names the session. A connection with the same key and an older
	// CONNECT is closed with [TakenOver].
	Key string
	// Tag is the handler's own; see [Conn].
	Tag any
	// AssignedClientID is told to an MQTT 5 client that came without one.
	AssignedClientID string
	// KeepAlive is imposed on MQTT 5 clients that ask for a longer one; zero
	// means [Config.MaxKeepAlive].
	KeepAlive time.Duration
	// Until is when the client must have shown a new token; zero means never.
	Until time.Time
}

// Publication is what a client published.
type Publication struct {
	Topic   string
	Payload []byte // the handler's to keep
	// Properties are those of MQTT 5, such as the topic to answer on; nil if
	// there are none.
	Properties *mqtt.Properties
	// Will is true for what a client left to be published after its end. Nobody
	// waits for its Ack.
	Will bool
	// Ack must be called once, from anywhere. Until then the client keeps the
	// message and would send it again on its next connection. A reason of 0x80
	// and above refuses: a 3.1.1 client, which cannot be told, is acknowledged
	// all the same, but disconnected for [mqtt.QuotaExceeded].
	Ack func(mqtt.Reason)
}

// Handler is told what happens on connections. The calls for one connection
// come one after another, in order. They must not block.
type Handler interface {
	// Connect asks whether a client may come in. Answer with Accept or Refuse,
	// at once or later, from anywhere. What the client sends meanwhile waits.
	Connect(c Conn, hello Hello)
	// Refresh asks whether a client that is in may stay, with the new token that
	// it shows. Answer with [Conn.Refreshed].
	Refresh(c Conn, token []byte)
	// Acked is proof: the client's software took the message.
	Acked(c Conn, id string)
	// Published delivers what the client said. A will may follow Closed.
	Published(c Conn, p Publication)
	// Ready says that there is room again after [ErrFull], or that the inbox
	// was subscribed again: hand over whatever still waits.
	Ready(c Conn)
	// Closed ends every connection that was accepted, once. A session that was
	// taken over belongs to another connection by then.
	Closed(c Conn, cause Cause)
}

// TokenAuth is the authentication method by which an MQTT 5 client shows its
// token, in CONNECT or AUTH, and later a new one without reconnecting.
const TokenAuth = "herald-token"

// Conn is one open connection. It is what a transport implements; its methods
// may be called from anywhere and never block.
type Conn interface {
	// Accept lets the client in; false means that it went away or that a newer
	// connection holds the key. After true, Closed will follow, perhaps at once.
	Accept(Welcome) bool
	// Refuse turns the client away.
	Refuse(mqtt.Reason)
	// Refreshed answers [Handler.Refresh]: until is the new end of the client's
	// stay. A reason of 0x80 and above ends it now.
	Refreshed(reason mqtt.Reason, until time.Time)
	// Deliver hands over a message and reports once, through done, which may be
	// nil: no error when the kernel has the bytes, else one of the Err values
	// above. While the window is full it waits in a bounded queue, and so does
	// the report. done must not block.
	Deliver(m Message, done func(error))
	// Close ends the connection, telling the client why where it can be told.
	Close(Cause)
	// Tag is what Accept was given; nil before.
	Tag() any
	// Quiet is the longest time that the client was silent and then heard
	// again; see [Handler.Closed].
	Quiet() time.Duration
}

// peer is what one transport asks of another when a session moves between them.
type peer interface {
	Conn
	// surrender ends the connection because another took the session over, and
	// passes on what is left of it, or nil.
	surrender(then func(*parked))
}

// Cause is why a connection ended.
type Cause uint8

// The causes.
const (
	Lost         Cause = iota // the network or the peer broke off
	Disconnected              // the client said goodbye
	Refused                   // not let in
	Handshake                 // no CONNECT, or no answer to it, in time
	Silent                    // nothing heard for 1.5 times the keep alive
	TakenOver                 // the same session connected again
	Malformed                 // the client broke the protocol
	Slow                      // the client did not read, or sent more than it may
	Shutdown                  // this process is going away
	Moved                     // sent to another server
	Expired                   // its token ran out, or the new one was refused
	Crowded                   // no memory to spare
	causes
)

var causeNames = [causes]string{
	"lost", "disconnected", "refused", "handshake", "silent", "taken_over", "malformed", "slow", "shutdown",
	"moved", "expired", "crowded",
}

func (c Cause) String() string { return causeNames[c] }

// reason is what an MQTT 5 client is told.
func (c Cause) reason() mqtt.Reason {
	switch c {
	case Silent:
		return mqtt.KeepAliveTimeout
	case TakenOver:
		return mqtt.SessionTakenOver
	case Slow:
		return mqtt.QuotaExceeded
	case Shutdown:
		return mqtt.ServerShuttingDown
	case Moved:
		return mqtt.UseAnotherServer
	case Expired:
		return mqtt.NotAuthorized
	case Crowded:
		return mqtt.ServerBusy
	default:
		return mqtt.Unspecified
	}
}
