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
	// TLS, if set, is spoken on both.
	TLS *tls.Config `yaml:"-"`

	// Inbox is the topic that messages are published on.
	Inbox string `yaml:"-"`

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
		TCP:              ":1883",
		WebSocket:        ":8083",
		Inbox:            "inbox",
		MaxConnections:   100_000,
		MaxPacket:        64 << 10,
		Window:           32,
		Queue:            256,
		QueueBytes:       1 << 20,
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
	positive("handshake_timeout", c.HandshakeTimeout)
	positive("write_timeout", c.WriteTimeout)
	positive("grace", c.Grace)
	between("max_keep_alive (seconds)", int(c.MaxKeepAlive/time.Second), 1, 65_535)
	return errors.Join(errs...)
}
