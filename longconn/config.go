package longconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Config shapes a [Server]. Start from [DefaultConfig], change what you must,
// and call [Config.Validate] before use.
type Config struct {
	// TCP and WebSocket are the addresses to listen on; port 0 picks a free
	// one, an empty address opens no listener.
	TCP       string `yaml:"tcp"`
	WebSocket string `yaml:"websocket"`
	// TCPListener and WebSocketListener, if set, are ports that are open already
	// ([Listen]); the addresses above are then not looked at. [Server.Run] closes
	// them.
	TCPListener       net.Listener `yaml:"-"`
	WebSocketListener net.Listener `yaml:"-"`
	// TLSCert and TLSKey are PEM files; with them TLS is spoken on both. They are
	// read again when they change. Default: no TLS, which a proxy may end.
	TLSCert string `yaml:"tls_cert"`
	TLSKey  string `yaml:"tls_key"`
	// TLS, if set, goes before the files.
	TLS *tls.Config `yaml:"-"`
	// Transport moves the bytes: "epoll" (Linux only) or "goroutines". Default:
	// epoll where there is one.
	Transport string `yaml:"transport"`
	// Loops is how many event loops epoll runs. Default: one per core.
	Loops int `yaml:"loops"`
	// ProxyProtocol demands that each connection begins with a PROXY protocol
	// header, version 1 or 2, as a proxy in front writes it. Default false.
	ProxyProtocol bool `yaml:"proxy_protocol"`
	// TLSHandshakes is how many TLS handshakes may compute at a time; the others
	// wait their turn. Default 64.
	TLSHandshakes int `yaml:"tls_handshakes"`

	// Inbox is the topic that messages are published on.
	Inbox string `yaml:"-"`
	// Answers is the topic on which the handler answers what a client asked, as
	// are those below it. What is told there needs no subscription; who has one
	// made all the same is granted it.
	Answers string `yaml:"-"`

	// MaxConnections is how many clients are let in; more are told "server
	// busy". Keep it below the process's limit of descriptors. Default 100,000.
	MaxConnections int `yaml:"max_connections"`
	// MaxPacket bounds a packet in either direction, in bytes. Default 65,536.
	MaxPacket int `yaml:"max_packet"`
	// Window is how many messages may be unacknowledged at a time; a client's
	// own Receive Maximum lowers it. Default 32.
	Window int `yaml:"window"`
	// Queue is how many more may wait for the window; QueueBytes bounds their
	// payloads. What finds no room is refused with [ErrFull]. Default 256, 1 MiB.
	Queue      int `yaml:"queue"`
	QueueBytes int `yaml:"queue_bytes"`

	// MaxMemory is how many bytes may wait in queues and half-read packets of
	// all connections; beyond it nothing more waits and nobody comes in.
	// Default 256 MiB.
	MaxMemory int64 `yaml:"max_memory"`

	// ConnectRate is how many CONNECTs a second are looked at, ConnectBurst how
	// many at once; the others are told "server busy" and in how many seconds to
	// come again. 0 means no limit. Default 5,000 and 10,000.
	ConnectRate  int `yaml:"connect_rate"`
	ConnectBurst int `yaml:"connect_burst"`
	// PerAddress is how many connections one network address may have, and
	// UnprovenPerAddress how many that were not let in yet. Mobile networks hide
	// thousands behind one. 0 means no limit. Default 0 and 2,000.
	PerAddress         int `yaml:"per_address"`
	UnprovenPerAddress int `yaml:"unproven_per_address"`

	// SessionExpiry is how long a session may outlive its connection, MaxSessions
	// how many may do so at a time. Default 1h and 100,000.
	SessionExpiry time.Duration `yaml:"session_expiry"`
	MaxSessions   int           `yaml:"max_sessions"`
	// MaxAge is how long a connection may last, a tenth more or less, before its
	// client is asked to connect anew. 0, the default, means for ever.
	MaxAge time.Duration `yaml:"max_age"`
	// Redirect is the server that clients are sent to when this one goes away:
	// "host:port". Empty, they come back to the same name.
	Redirect string `yaml:"redirect"`
	// EvictRate is how many clients a second are sent away when the process is
	// told to end, and Drain how long that may take; whoever is left then goes
	// at once. Default 2,000 and 5s.
	EvictRate int           `yaml:"evict_rate"`
	Drain     time.Duration `yaml:"drain"`

	// HandshakeTimeout is how long a client may stay without being let in.
	// Default 8s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// WriteTimeout is how long a client may leave bytes unread. Default 20s.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// MaxKeepAlive is imposed on MQTT 5 clients that ask for a longer keep
	// alive or none; 3.1.1 has no word for it. Default 20m.
	MaxKeepAlive time.Duration `yaml:"max_keep_alive"`
	// Grace is how long clients may take over the farewell. Default 3s.
	Grace time.Duration `yaml:"grace"`
}

// DefaultConfig is what an empty section of the config file means: MQTT on its
// registered port, WebSocket on 8083.
func DefaultConfig() Config {
	return Config{
		TCP:            ":1883",
		WebSocket:      ":8083",
		Inbox:          "inbox",
		Answers:        "answers",
		MaxConnections: 100_000,
		MaxPacket:      64 << 10,
		Window:         32,
		Queue:          256,
		QueueBytes:     1 << 20,
		TLSHandshakes:  64,
		MaxMemory:      256 << 20,
		ConnectRate:    5_000,
		ConnectBurst:   10_000,

		UnprovenPerAddress: 2_000,

		SessionExpiry:    time.Hour,
		MaxSessions:      100_000,
		EvictRate:        2_000,
		Drain:            5 * time.Second,
		HandshakeTimeout: 8 * time.Second,
		WriteTimeout:     20 * time.Second,
		MaxKeepAlive:     20 * time.Minute,
		Grace:            3 * time.Second,
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	between := func(key string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("longconn.%s: %d is not between %d and %d", key, v, low, high))
		}
	}
	positive := func(key string, d time.Duration) {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("longconn.%s: %s is not positive", key, d))
		}
	}
	if c.Inbox == "" {
		errs = append(errs, errors.New("longconn.inbox: is empty"))
	}
	between("max_connections", c.MaxConnections, 1, 1<<30)
	between("max_packet", c.MaxPacket, 1<<10, 16<<20)
	between("window", c.Window, 1, 1<<10)
	between("queue", c.Queue, 0, 1<<16)
	between("queue_bytes", c.QueueBytes, 0, 1<<30)
	between("loops", c.Loops, 0, 1<<10)
	between("tls_handshakes", c.TLSHandshakes, 1, 1<<16)
	between("max_memory", int(c.MaxMemory), 1<<20, 1<<40)
	between("connect_rate", c.ConnectRate, 0, 1<<30)
	between("connect_burst", c.ConnectBurst, min(1, c.ConnectRate), 1<<30)
	between("per_address", c.PerAddress, 0, 1<<30)
	between("unproven_per_address", c.UnprovenPerAddress, 0, 1<<30)
	between("max_sessions", c.MaxSessions, 0, 1<<30)
	between("evict_rate", c.EvictRate, 1, 1<<30)
	between("session_expiry (seconds)", int(c.SessionExpiry/time.Second), 0, 1<<31)
	between("max_age (seconds)", int(c.MaxAge/time.Second), 0, 1<<31)
	if c.Transport != "" && c.Transport != "epoll" && c.Transport != "goroutines" {
		errs = append(errs, fmt.Errorf("longconn.transport: %q is neither epoll nor goroutines", c.Transport))
	}
	if c.Transport == "epoll" && !haveLoops {
		errs = append(errs, errors.New("longconn.transport: there is no epoll on this system"))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("longconn.tls_cert: give both tls_cert and tls_key, or neither"))
	}
	if c.Drain < 0 {
		errs = append(errs, fmt.Errorf("longconn.drain: %s is negative", c.Drain))
	}
	positive("handshake_timeout", c.HandshakeTimeout)
	positive("write_timeout", c.WriteTimeout)
	positive("grace", c.Grace)
	between("max_keep_alive (seconds)", int(c.MaxKeepAlive/time.Second), 1, 65_535)
	return errors.Join(errs...)
}
