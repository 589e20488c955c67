package longconn

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// ServeHTTP speaks MQTT over WebSocket: subprotocol "mqtt", binary frames, a
// packet split over frames or several in one as the client likes
// [MQTT-6.0.0-2]. Any origin may connect: the token in CONNECT is what lets a
// client in, and a browser sends none by itself. It returns when the connection
// has ended.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"mqtt"},
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	if ws.Subprotocol() != "mqtt" {
		ws.Close(websocket.StatusPolicyViolation, `subprotocol "mqtt" is required`) //nolint:errcheck // refused
		return
	}
	// The connection outlives the request's context, which ends with the server.
	nc := websocket.NetConn(context.WithoutCancel(r.Context()), ws, websocket.MessageBinary)
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
	if late, ok := r.Context().Value(proxyKey{}).(*lateProxied); ok && late.inner != nil {
		return late.inner.RemoteAddr()
	}
	return stringAddr(r.RemoteAddr)
}

type stringAddr string

func (stringAddr) Network() string  { return "websocket" }
func (a stringAddr) String() string { return string(a) }
