package longconn_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

func (h *house) dialWebSocket(t *testing.T, subprotocols ...string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+h.WebSocketAddr().String()+"/mqtt", &websocket.DialOptions{Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

func TestWebSocketCarriesPacketsInAnyFrames(t *testing.T) {
	h := open(t)
	ws := h.dialWebSocket(t, "mqtt")
	nc := websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	r := &raw{mqtttest.New(t, nc, mqtt.V5, soon), mqtt.V5}
	b := mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, ClientID: "d1", HasPass: true, Password: []byte("sesame")})
	for i := range b {
		r.Send(b[i : i+1]) // a frame for each byte
	}
	if typ, _ := r.next(); typ != mqtt.CONNACK {
		t.Fatalf("type %d, want CONNACK", typ)
	}
	b = mqtt.AppendPing(nil, mqtt.PINGREQ)
	r.Send(append(b, b...)) // two packets in a frame
	for range 2 {
		if typ, _ := r.next(); typ != mqtt.PINGRESP {
			t.Fatalf("type %d, want PINGRESP", typ)
		}
	}
	h.conn(t, "d1").Close(longconn.TakenOver)
	if got := r.disconnected(); got != mqtt.SessionTakenOver {
		t.Errorf("reason 0x%02X, want 0x8E", byte(got))
	}
}

func TestWebSocketClientsThatDoNotSpeakMQTTAreClosed(t *testing.T) {
	h := open(t)
	tests := map[string]struct {
		subprotocols []string
		send         func(*websocket.Conn) error
		want         websocket.StatusCode
	}{
		"no subprotocol":      {nil, nil, websocket.StatusPolicyViolation},
		"another subprotocol": {[]string{"graphql-ws"}, nil, websocket.StatusPolicyViolation},
		"text frames [MQTT-6.0.0-1]": {[]string{"mqtt"}, func(ws *websocket.Conn) error {
			return ws.Write(context.Background(), websocket.MessageText, []byte("hello"))
		}, websocket.StatusUnsupportedData},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := h.dialWebSocket(t, tt.subprotocols...)
			if tt.send != nil {
				if err := tt.send(ws); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), soon)
			defer cancel()
			_, _, err := ws.Read(ctx)
			if got := websocket.CloseStatus(err); got != tt.want {
				t.Errorf("closed with %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}
