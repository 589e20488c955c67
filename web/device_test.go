package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/packets"
)

// broker is just enough of MQTT 5 over WebSocket to play Herald to one device.
// What the device sends arrives on its channels.
type broker struct {
	t        *testing.T
	connects chan *packets.Connect
	acks     chan uint16
	receipts chan map[string]string
	send     chan packets.Packet
}

func newBroker(t *testing.T) (*broker, string) {
	b := &broker{t, make(chan *packets.Connect, 8), make(chan uint16, 8), make(chan map[string]string, 8), make(chan packets.Packet)}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	return b, "ws" + strings.TrimPrefix(srv.URL, "http") + "/mqtt"
}

func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mqtt"}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	wire := packets.NewThreadSafeConn(websocket.NetConn(ctx, ws, websocket.MessageBinary))
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case p := <-b.send:
				p.WriteTo(wire) //nolint:errcheck // the reader sees it
				if _, ok := p.(*packets.Disconnect); ok {
					ws.Close(websocket.StatusNormalClosure, "")
				}
			}
		}
	}()
	for {
		packet, err := packets.ReadPacket(wire)
		if err != nil {
			return
		}
		b.answer(wire, packet)
	}
}

func (b *broker) answer(wire interface{ Write([]byte) (int, error) }, packet *packets.ControlPacket) {
	switch p := packet.Content.(type) {
	case *packets.Connect:
		b.connects <- p
		(&packets.Connack{Properties: &packets.Properties{}}).WriteTo(wire) //nolint:errcheck // the reader sees it
	case *packets.Subscribe:
		(&packets.Suback{PacketID: p.PacketID, Reasons: []byte{1}, Properties: &packets.Properties{}}).WriteTo(wire) //nolint:errcheck // likewise
	case *packets.Puback:
		b.acks <- p.PacketID
	case *packets.Publish:
		receipt := map[string]string{"topic": p.Topic}
		if err := json.Unmarshal(p.Payload, &receipt); err != nil {
			b.t.Errorf("receipt %q: %v", p.Payload, err)
		}
		b.receipts <- receipt
		(&packets.Puback{PacketID: p.PacketID, Properties: &packets.Properties{}}).WriteTo(wire) //nolint:errcheck // likewise
	}
}

// notify sends one notification and waits for the device's acknowledgement.
func (b *broker) notify(id uint16, payload string) {
	b.t.Helper()
	b.send <- &packets.Publish{Topic: "inbox", QoS: 1, PacketID: id, Payload: []byte(payload), Properties: &packets.Properties{}}
	if got := receive(b.t, b.acks); got != id {
		b.t.Errorf("PUBACK of %d, want %d", got, id)
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within 10 s")
		panic("unreachable")
	}
}

func TestThePageIsADevice(t *testing.T) {
	mqtt, address := newBroker(t)
	h := open(t, &fake{lively: true}, func(c *Config) { c.WebSocket = address })
	b := startBrowser(t)
	b.screen(1200, 900, "light")
	b.run(chromedp.Navigate(h.link()), chromedp.Navigate(h.url+"/demo/device?device=browser-7"))

	hello := receive(t, mqtt.connects)
	if hello.ClientID != "browser-7" || hello.Username != "demo/browser-7" || string(hello.Password) != "jwt-of-browser-7" {
		t.Errorf("CONNECT as %q, user %q, password %q", hello.ClientID, hello.Username, hello.Password)
	}
	b.until(`document.getElementById("wire").dataset.state === "on"`)

	mqtt.notify(1, `{"id":"n1.0.0","notification":"n1","title":"Your parcel <script>","body":"is on its way\nto you"}`)
	if r := receive(t, mqtt.receipts); r["topic"] != "receipts" || r["id"] != "n1.0.0" || r["event"] != "displayed" || r["at"] == "" {
		t.Errorf("first report = %v, want n1.0.0 displayed", r)
	}
	b.run(chromedp.Click(".card"))
	if r := receive(t, mqtt.receipts); r["id"] != "n1.0.0" || r["event"] != "clicked" {
		t.Errorf("second report = %v, want n1.0.0 clicked", r)
	}
	if title := eval[string](b, `document.querySelector(".card strong").textContent`); title != "Your parcel <script>" {
		t.Errorf("the card's title is %q", title)
	}

	mqtt.notify(2, `{"id":"n1.0.1","notification":"n1","title":"Your parcel again"}`)
	mqtt.notify(3, `not JSON`)
	mqtt.notify(4, `{"id":"n2.0.0","notification":"n2","title":"Ada","body":"See you at seven?"}`)
	b.until(`document.getElementById("received").textContent === "2" && document.getElementById("repeats").textContent === "1"`)
	b.until(`document.querySelectorAll(".card").length === 2`)
	if r := receive(t, mqtt.receipts); r["id"] != "n2.0.0" || r["event"] != "displayed" {
		t.Errorf("third report = %v, want n2.0.0 displayed", r)
	}
	if *look != "" {
		b.run(chromedp.Sleep(700 * time.Millisecond)) // the animation, for the picture only
	}
	b.shoot("device-cards")

	mqtt.send <- &packets.Disconnect{ReasonCode: 0x8b, Properties: &packets.Properties{}} // server shutting down
	receive(t, mqtt.connects)                                                             // it comes back by itself
	b.until(`document.getElementById("wire").dataset.state === "on"`)
	mqtt.send <- &packets.Disconnect{ReasonCode: 0x8e, Properties: &packets.Properties{}} // another page is this device now
	b.until(`document.getElementById("wire").dataset.state === "gone"`)
	b.quiet()
}
