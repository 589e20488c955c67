// Package im holds the words of the floors that carry messages to people who
// are connected: sessions, messages and receipts. It imports the standard
// library only.
package im

import (
	"errors"
	"time"
)

// Session is one device's connection to one node.
type Session struct {
	App    string
	Device string
	// User is whose device it is; empty for nobody's.
	User string
	// Serial orders the sessions of one process; it says which of two sessions
	// of a device on the same node is the newer.
	Serial uint64
	// Since is when the device was let in.
	Since time.Time
}

// Key names the session's device across apps.
func (s Session) Key() string { return Key(s.App, s.Device) }

// Key names a device across apps.
func Key(app, device string) string { return app + "/" + device }

// Place is where a device's session is.
type Place struct {
	Node   string    // name of the node, unique among those that run
	Boot   string    // the node's process: a restarted node has another
	Serial uint64    // of the session within that process
	Epoch  uint64    // counts the device's sessions on all nodes: the highest is the latest
	Since  time.Time // when the device was let in
}

// Message is one thing to hand to a device.
type Message struct {
	ID      string
	Payload []byte    // never changed once made
	Expires time.Time // zero means never
	// Collapse names what the message is the latest word on; empty if nothing.
	// A device that does not keep up gets the latest alone.
	Collapse string
}

// Event is what a receipt reports.
type Event string

// The events, lowest first.
const (
	Delivered Event = "delivered" // the device's software acknowledged
	Displayed Event = "displayed"
	Clicked   Event = "clicked"
)

// Receipt is evidence from a device about a message.
type Receipt struct {
	App    string
	Device string
	User   string // whose device it is; empty for nobody's
	ID     string // of the message
	Event  Event
	// Ack is true for the protocol's own acknowledgement, false for a report
	// that the app made.
	Ack bool
	// At is the time at the device, as far as it can be believed, else of arrival.
	At         time.Time
	ReceivedAt time.Time
}

// Why a message was not handed to a device.
var (
	// ErrNotHere means that it was not sent: the device is not connected, or its
	// connection has no room. It can take another road at once.
	ErrNotHere = error(unreachable("im: device is not connected"))
	// ErrFull is ErrNotHere for a device that is connected but does not keep up.
	// Its message, if it lies in the inbox, goes out when there is room.
	ErrFull = error(unreachable("im: device does not keep up"))
	// ErrExpired is ErrNotHere for a message whose time passed.
	ErrExpired = error(unreachable("im: message expired"))
	// ErrTooLarge is ErrNotHere for a message that the connection cannot carry.
	ErrTooLarge = error(unreachable("im: message is too large"))
	// ErrUnknown means that it may have been sent.
	ErrUnknown = errors.New("im: the connection broke or the node did not answer")
)

// ErrAway means that a store is not there at the moment: try again.
var ErrAway = errors.New("im: a store that is needed is not there")

// unreachable is an error that says so to those who do not import this package.
type unreachable string

func (e unreachable) Error() string { return string(e) }

// Unreachable reports that nothing was sent.
func (unreachable) Unreachable() bool { return true }
