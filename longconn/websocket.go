package longconn

import (
	"context"
	"encoding/json"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// ServeHTTP speaks MQTT over WebSocket: subprotocol "mqtt", binary frames, a
// packet split over frames or several in one as the client likes
// [MQTT-6.0.0-2]. Any origin may connect: the token in CONNECT is what lets a
// client in, and a browser sends none by itself. It returns when the connection
// has ended.
// What asks for no WebSocket finds the doors for plain HTTP.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !lists(r.Header, "Upgrade", "websocket") {
		s.doors.ServeHTTP(w, r)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"mqtt", JSONProtocol},
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	if ws.Subprotocol() == "" {
		ws.Close(websocket.StatusPolicyViolation, `subprotocol "mqtt" is required`) //nolint:errcheck // refused
		return
	}
	// The connection outlives the request's context, which ends with the server.
	life := context.WithoutCancel(r.Context())
	nc := websocket.NetConn(life, ws, websocket.MessageBinary)
	if ws.Subprotocol() == JSONProtocol {
		ws.SetReadLimit(2 * int64(s.cfg.MaxPacket))
		nc = newJSONConn(websocket.NetConn(life, ws, websocket.MessageText))
	}
	if c := s.adopt(&wsConn{Conn: nc, ws: ws, remote: remoteAddr(r)}); c != nil {
		s.serve(c)
	}
}

// wsConn is a WebSocket with the peer's address and a close that can be forced.
type wsConn struct {
	net.Conn
	ws     *websocket.Conn
	remote net.Addr
}

func (c *wsConn) RemoteAddr() net.Addr { return c.remote }

// cut closes without the closing handshake.
func (c *wsConn) cut() error { return c.ws.CloseNow() }

func remoteAddr(r *http.Request) net.Addr {
	if handed, ok := r.Context().Value(handedKey{}).(*proxied); ok {
		return handed.from
	}
	if late, ok := r.Context().Value(proxyKey{}).(*lateProxied); ok && late.inner != nil {
		return late.inner.RemoteAddr()
	}
	return stringAddr(r.RemoteAddr)
}

type stringAddr string

func (stringAddr) Network() string  { return "websocket" }
func (a stringAddr) String() string { return string(a) }

// jsonConn is a connection on which a client speaks JSON, as MQTT.
type jsonConn struct {
	net.Conn

	texts  *json.Decoder
	packet []byte // what is left of the last one
}

func newJSONConn(nc net.Conn) *jsonConn { return &jsonConn{Conn: nc, texts: json.NewDecoder(nc)} }

func (c *jsonConn) Read(p []byte) (int, error) {
	for len(c.packet) == 0 {
		var text json.RawMessage
		err := c.texts.Decode(&text)
		if err == nil {
			c.packet, err = packetOf(text)
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, c.packet)
	c.packet = c.packet[n:]
	return n, nil
}

func (c *jsonConn) Write(packets []byte) (int, error) {
	for _, text := range textsOf(packets) {
		if _, err := c.Conn.Write(text); err != nil {
			return 0, err
		}
	}
	return len(packets), nil
}
