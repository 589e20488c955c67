package longconn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/herald-push/herald/longconn/mqtt"
)

// said is what a client that speaks JSON says, or is told: an object with the
// fields of its type. Each is a packet of MQTT 5 in other clothes, and goes
// through the same engine.
type said struct {
	Type string `json:"type"`

	Device        string `json:"device,omitempty"`     // connect
	User          string `json:"user,omitempty"`       // connect
	Token         string `json:"token,omitempty"`      // connect, refresh
	KeepAlive     uint16 `json:"keep_alive,omitempty"` // connect, connected; seconds
	Fresh         bool   `json:"fresh,omitempty"`      // connect: no earlier session
	SessionExpiry uint32 `json:"session_expiry,omitempty"`
	Window        uint16 `json:"window,omitempty"` // connect: unacknowledged messages
	Resumed       bool   `json:"resumed,omitempty"`

	Packet  uint16          `json:"packet,omitempty"` // message, ack, publish, published
	Topic   string          `json:"topic,omitempty"`  // message, publish
	QoS     *byte           `json:"qos,omitempty"`    // publish; default 1
	Payload json.RawMessage `json:"payload,omitempty"`
	Data    []byte          `json:"payload_base64,omitempty"` // a payload that is no text
	Again   bool            `json:"again,omitempty"`          // message

	Reason     *byte  `json:"reason,omitempty"` // refused, published, bye: as in MQTT 5
	RetryAfter int    `json:"retry_after,omitempty"`
	Server     string `json:"server,omitempty"` // refused, bye: go there
}

// packetOf reads what a client says.
func packetOf(text []byte) ([]byte, error) {
	var s said
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("longconn: not understood: %w", err)
	}
	switch s.Type {
	case "connect":
		return s.connect(), nil
	case "ack":
		return mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, s.Packet, mqtt.Success), nil
	case "publish":
		return s.publish()
	case "ping":
		return mqtt.AppendPing(nil, mqtt.PINGREQ), nil
	case "refresh":
		return mqtt.AppendAuth(nil, mqtt.Reauthenticate, mqtt.Properties{AuthMethod: TokenAuth, AuthData: []byte(s.Token)}), nil
	case "disconnect":
		return mqtt.AppendDisconnect(nil, mqtt.V5, mqtt.Success, mqtt.Properties{}), nil
	default:
		return nil, fmt.Errorf("longconn: type %.32q", s.Type)
	}
}

func (s *said) connect() []byte {
	return mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V5, Clean: s.Fresh, KeepAlive: s.KeepAlive, ClientID: s.Device,
		HasUser: s.User != "", Username: s.User,
		Properties: mqtt.Properties{
			SessionExpiry: s.SessionExpiry, ReceiveMaximum: s.Window,
			AuthMethod: TokenAuth, AuthData: []byte(s.Token),
		},
	})
}

func (s *said) publish() ([]byte, error) {
	p := mqtt.Publish{Topic: s.Topic, ID: s.Packet, QoS: 1, Payload: s.Data}
	if s.QoS != nil {
		p.QoS = *s.QoS
	}
	if p.QoS > 1 || p.QoS == 1 && p.ID == 0 || len(p.Topic) > 1<<16-1 {
		return nil, errors.New("longconn: publish needs a topic, and a packet number or qos 0")
	}
	if s.Payload != nil {
		p.Payload = s.Payload
		var text string
		if json.Unmarshal(s.Payload, &text) == nil {
			p.Payload = []byte(text)
		}
	}
	return mqtt.AppendPublish(nil, mqtt.V5, p), nil
}

// textsOf turns packets of the server into what a client is told.
func textsOf(packets []byte) (texts [][]byte) {
	for len(packets) > 0 {
		h, body, n, err := mqtt.Split(packets, mqtt.MaxLength)
		if err != nil || n == 0 {
			return texts // we wrote them: they are whole
		}
		packets = packets[n:]
		if s := tell(h, body); s.Type != "" {
			if text, err := json.Marshal(s); err == nil {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

func tell(h mqtt.Header, body []byte) said {
	switch h.Type {
	case mqtt.CONNACK:
		return tellConnack(body)
	case mqtt.PUBLISH:
		return tellMessage(h, body)
	case mqtt.PUBACK:
		id, reason, _ := mqtt.DecodeAck(h, body, mqtt.V5)
		return said{Type: "published", Packet: id, Reason: (*byte)(&reason)}
	case mqtt.PINGRESP:
		return said{Type: "pong"}
	case mqtt.AUTH:
		return said{Type: "refreshed"}
	case mqtt.DISCONNECT:
		reason, p, _ := mqtt.DecodeDisconnect(body, mqtt.V5)
		return said{Type: "bye", Reason: (*byte)(&reason), Server: p.ServerReference, RetryAfter: retryIn(p)}
	default:
		return said{}
	}
}

func tellConnack(body []byte) said {
	reason, present, p, _ := mqtt.DecodeConnack(body, mqtt.V5)
	if reason != mqtt.Success {
		return said{Type: "refused", Reason: (*byte)(&reason), Server: p.ServerReference, RetryAfter: retryIn(p)}
	}
	return said{Type: "connected", Resumed: present, KeepAlive: p.ServerKeepAlive, SessionExpiry: p.SessionExpiry, Device: p.AssignedClientID}
}

func tellMessage(h mqtt.Header, body []byte) said {
	p, _ := mqtt.DecodePublish(h, body, mqtt.V5)
	s := said{Type: "message", Packet: p.ID, Topic: p.Topic, Again: p.Dup}
	switch {
	case json.Valid(p.Payload):
		s.Payload = p.Payload
	case utf8.Valid(p.Payload):
		s.Payload, _ = json.Marshal(string(p.Payload)) // a string always can
	default:
		s.Data = p.Payload
	}
	return s
}

func retryIn(p mqtt.Properties) int {
	for _, pair := range p.User {
		if pair.Name == RetryAfter {
			n, _ := strconv.Atoi(pair.Value)
			return n
		}
	}
	return 0
}
