// Package mqtttest is a device for tests that look at single packets.
package mqtttest

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// Client speaks MQTT over a connection. What it cannot do ends the test.
type Client struct {
	net.Conn

	t        testing.TB
	version  byte
	patience time.Duration // for each packet of the server
	buf      []byte        // read, not yet a packet
}

// Dial connects to a server by TCP until the test ends. It says nothing yet.
func Dial(t testing.TB, addr string, version byte, patience time.Duration) *Client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return New(t, nc, version, patience)
}

// New speaks over a connection that is there.
func New(t testing.TB, nc net.Conn, version byte, patience time.Duration) *Client {
	return &Client{Conn: nc, t: t, version: version, patience: patience}
}

// Send writes bytes, packets or not.
func (c *Client) Send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// Next reads one packet; type 0 means that the server closed.
func (c *Client) Next() (mqtt.Header, []byte) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(c.patience)) // where it fails, Read does
	for {
		h, body, n, err := mqtt.Split(c.buf, 1<<20)
		if err != nil {
			c.t.Fatalf("server sent garbage: %v", err)
		}
		if n > 0 {
			c.buf = c.buf[n:]
			return h, body
		}
		p := make([]byte, 4096)
		n, err = c.Read(p)
		c.buf = append(c.buf, p[:n]...)
		if err != nil && n == 0 {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				c.t.Fatalf("server sent nothing for %s", c.patience)
			}
			return mqtt.Header{}, nil
		}
	}
}

// Publish reads one packet, which must be a PUBLISH.
func (c *Client) Publish() mqtt.Publish {
	c.t.Helper()
	h, body := c.Next()
	if h.Type != mqtt.PUBLISH {
		c.t.Fatalf("got type %d, want PUBLISH", h.Type)
	}
	p, err := mqtt.DecodePublish(h, body, c.version)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// Puback acknowledges a PUBLISH.
func (c *Client) Puback(id uint16) {
	c.t.Helper()
	c.Send(mqtt.AppendAck(nil, c.version, mqtt.PUBACK, id, mqtt.Success))
}
