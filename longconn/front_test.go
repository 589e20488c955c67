package longconn_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

// certificate makes a server's and a client's view of one certificate.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"herald.test"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, ServerName: "herald.test", MinVersion: tls.VersionTLS12}
}

// converse comes in over a connection that is there, and has a message
// delivered that takes several writes.
func (h *house) converse(t *testing.T, nc net.Conn, id string) {
	t.Helper()
	r := &raw{mqtttest.New(t, nc, mqtt.V5, soon), mqtt.V5}
	r.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: id, HasPass: true, Password: []byte("sesame")}))
	if typ, _ := r.next(); typ != mqtt.CONNACK {
		t.Fatalf("type %d, want CONNACK", typ)
	}
	large := strings.Repeat("x", 60_000)
	for i := range 20 {
		if err := h.deliver(t, id, longconn.Message{ID: fmt.Sprint(i), Payload: []byte(large)}); err != nil {
			t.Fatal(err)
		}
		p := r.Publish()
		if string(p.Payload) != large {
			t.Fatalf("payload of %d bytes", len(p.Payload))
		}
		r.Puback(p.ID)
	}
	h.Await(t, "proof", func() bool { return h.acked["19"] >= 1 })
	h.conn(t, id).Close(longconn.TakenOver)
	if got := r.disconnected(); got != mqtt.SessionTakenOver {
		t.Errorf("reason 0x%02X, want 0x8E", byte(got))
	}
}

func TestTLSIsSpoken(t *testing.T) {
	server, client := certificate(t)
	h := open(t, func(c *longconn.Config) { c.TLS, c.TLSHandshakes = server, 2 })
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			cfg := client.Clone()
			cfg.MaxVersion = version
			nc, err := tls.Dial("tcp", h.TCPAddr().String(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			h.converse(t, nc, fmt.Sprint("tls", version))
		})
	}
	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: client}}
		t.Cleanup(web.CloseIdleConnections)
		ws, _, err := websocket.Dial(t.Context(), "wss://"+h.WebSocketAddr().String(), &websocket.DialOptions{HTTPClient: web, Subprotocols: []string{"mqtt"}})
		if err != nil {
			t.Fatal(err)
		}
		ws.SetReadLimit(1 << 20)
		h.converse(t, websocket.NetConn(context.WithoutCancel(t.Context()), ws, websocket.MessageBinary), "wss")
	})
}

func TestDoorsOfPlainHTTPAreOpenUnderTLS(t *testing.T) {
	server, client := certificate(t)
	h := open(t, func(c *longconn.Config) { c.TLS = server })
	h.Change(func() { h.anyone = "d1" })
	transport := &http.Transport{TLSClientConfig: client}
	web := &http.Client{Transport: transport, Timeout: soon}
	t.Cleanup(web.CloseIdleConnections)
	ask := func(path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.WebSocketAddr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer sesame")
		resp, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for range 2 { // the second over the same connection
		resp := ask("/v1/inbox?wait=0")
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "cursor") {
			t.Fatalf("long polling: %d %s, %v", resp.StatusCode, body, err)
		}
	}
	lines := bufio.NewScanner(ask("/v1/live").Body)
	line := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("no %q came: %v", want, lines.Err())
	}
	line("event: connected")
	if err := h.deliver(t, "d1", longconn.Message{ID: "m1", Payload: []byte(`{"id":"m1"}`)}); err != nil {
		t.Fatal(err)
	}
	line(`"m1"`)
}

func TestHandshakesThatFailOrNeverEndHoldNobodyUp(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	h := open(t, func(c *longconn.Config) { c.TLS, c.TLSHandshakes, c.HandshakeTimeout = server, 1, 500*time.Millisecond })
	plain := h.dial(t, mqtt.V5)
	plain.Send([]byte("this is not TLS, and long enough to be sure of that"))
	silent := h.dial(t, mqtt.V5)
	silent.Send([]byte{22, 3, 1})
	nc, err := tls.Dial("tcp", h.TCPAddr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	h.converse(t, nc, "d1")
	ended(t, plain)
	ended(t, silent)
}

// ended reads until the server closes, whatever it says.
func ended(t *testing.T, r *raw) {
	t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(soon))
	buf := make([]byte, 512)
	for {
		if _, err := r.Read(buf); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Fatal("the server did not close")
			}
			return
		}
	}
}

func TestProxyTellsWhoTheClientIs(t *testing.T) {
	t.Parallel()
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	tests := map[string]struct {
		header string
		want   string // the client's address; empty: refused
	}{
		"version 1":         {"PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\n", "192.0.2.7:4711"},
		"version 1, IPv6":   {"PROXY TCP6 2001:db8::7 2001:db8::1 4711 1883\r\n", "[2001:db8::7]:4711"},
		"version 1 unknown": {"PROXY UNKNOWN\r\n", "127.0.0.1:"},
		"version 2":         {v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x07\x5b", "192.0.2.7:4711"},
		"version 2, IPv6": {
			v2 + "\x21\x21\x00\x24\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + strings.Repeat("\x00", 16) + "\x12\x67\x07\x5b",
			"[2001:db8::7]:4711",
		},
		"version 2 with more to say":  {v2 + "\x21\x11\x00\x10\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x07\x5b\x04\x00\x01\x00", "192.0.2.7:4711"},
		"version 2, the proxy itself": {v2 + "\x20\x00\x00\x00", "127.0.0.1:"},
		"no header":                   {"", ""},
		"half a header":               {"PROXY TCP4 192.0.2.7", ""},
		"nonsense":                    {"PROXY TCP4 nowhere 10.0.0.1 4711 1883\r\n", ""},
		"version 3":                   {v2 + "\x31\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x07\x5b", ""},
		"version 2, endless":          {v2 + "\x21\x11\xff\xff", ""},
	}
	h := open(t, func(c *longconn.Config) { c.ProxyProtocol, c.HandshakeTimeout = true, time.Second })
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := strings.ReplaceAll(name, " ", "-")
			connect := mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: id, HasPass: true, Password: []byte("sesame")})
			if tt.want == "" {
				connect = connect[:4]
			}
			r := h.dial(t, mqtt.V5)
			for _, b := range []byte(tt.header) { // split at every byte
				r.Write([]byte{b}) //nolint:errcheck // the server may have closed
			}
			r.Write(connect) //nolint:errcheck // as above
			if tt.want == "" {
				ended(t, r)
				return
			}
			if typ, _ := r.next(); typ != mqtt.CONNACK {
				t.Fatalf("type %d, want CONNACK", typ)
			}
			h.Lock()
			defer h.Unlock()
			if got := h.remote[id]; !strings.HasPrefix(got, tt.want) {
				t.Errorf("client at %q, want %q", got, tt.want)
			}
		})
	}
}

func TestProxyInFrontOfWebSockets(t *testing.T) {
	h := open(t, func(c *longconn.Config) { c.ProxyProtocol = true })
	dialer := &net.Dialer{}
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dialer.DialContext(ctx, network, addr)
		if err == nil {
			_, err = nc.Write([]byte("PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\n"))
		}
		return nc, err
	}}}
	t.Cleanup(web.CloseIdleConnections)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+h.WebSocketAddr().String(), &websocket.DialOptions{HTTPClient: web, Subprotocols: []string{"mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	h.converse(t, websocket.NetConn(context.WithoutCancel(t.Context()), ws, websocket.MessageBinary), "d1")
	h.Lock()
	defer h.Unlock()
	if got := h.remote["d1"]; got != "192.0.2.7:4711" {
		t.Errorf("client at %q", got)
	}
}

func TestJSONIsSpokenOverWebSocket(t *testing.T) {
	h := open(t)
	ws := h.dialWebSocket(t, longconn.JSONProtocol)
	say := func(text string) {
		t.Helper()
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) map[string]any {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		kind, text, err := ws.Read(ctx)
		if err != nil || kind != websocket.MessageText {
			t.Fatalf("heard %v, %v", kind, err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil || got["type"] != want {
			t.Fatalf("heard %s, want %s", text, want)
		}
		return got
	}
	say(`{"type":"connect","device":"d1","token":"sesame","keep_alive":60,"session_expiry":60}`)
	hear("connected")
	for id, m := range map[string]struct{ payload, field, want string }{
		"json":  {`{"id":"m1"}`, "payload", "map[id:m1]"},
		"text":  {"grüezi", "payload", "grüezi"},
		"bytes": {"\xff\x00", "payload_base64", "/wA="},
	} {
		if err := h.deliver(t, "d1", longconn.Message{ID: id, Payload: []byte(m.payload)}); err != nil {
			t.Fatal(err)
		}
		got := hear("message")
		if fmt.Sprint(got[m.field]) != m.want || got["topic"] != "inbox" {
			t.Errorf("message %v", got)
		}
		say(fmt.Sprintf(`{"type":"ack","packet":%v}`, got["packet"]))
		h.Await(t, "proof", func() bool { return h.acked[id] == 1 })
	}
	say(`{"type":"ping"}`)
	hear("pong")
	say(`{"type":"publish","topic":"receipts","packet":7,"payload":{"id":"m1","event":"displayed"}}`)
	if got := hear("published"); got["packet"] != 7.0 || got["reason"] != 0.0 {
		t.Errorf("published %v", got)
	}
	say(`{"type":"publish","topic":"elsewhere","packet":8,"payload":"x"}`)
	if got := hear("published"); got["reason"] != float64(mqtt.NotAuthorized) {
		t.Errorf("published %v", got)
	}
	say(`{"type":"refresh","token":"sesame"}`)
	hear("refreshed")
	say(`{"type":"refresh","token":"wrong"}`)
	if got := hear("bye"); got["reason"] != float64(mqtt.NotAuthorized) {
		t.Errorf("bye %v", got)
	}
	h.Lock()
	defer h.Unlock()
	if got := string(h.published[0].Payload); got != `{"id":"m1","event":"displayed"}` {
		t.Errorf("payload %s", got)
	}
}

func TestJSONThatIsNoneEndsTheConnection(t *testing.T) {
	h := open(t)
	for name, text := range map[string]string{
		"not JSON":           `{"type":`,
		"no type":            `{}`,
		"unknown type":       `{"type":"dance"}`,
		"wrong token":        `{"type":"connect","device":"d1","token":"x"}`,
		"not connected yet":  `{"type":"ping"}`,
		"publish without id": `{"type":"publish","topic":"a"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := h.dialWebSocket(t, longconn.JSONProtocol)
			if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if name == "not JSON" {
				if err := ws.Write(t.Context(), websocket.MessageText, []byte(`}`)); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			for {
				if _, _, err := ws.Read(ctx); err != nil {
					if ctx.Err() != nil {
						t.Error("still open")
					}
					return
				}
			}
		})
	}
}
