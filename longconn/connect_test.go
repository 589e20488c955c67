package longconn_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

func TestConnectIsAnsweredByTheRules(t *testing.T) {
	base := mqtt.Connect{Version: mqtt.V5, Clean: true, KeepAlive: 30, ClientID: "d1", Username: "d1", HasUser: true, Password: []byte("sesame"), HasPass: true}
	tests := map[string]struct {
		change func(*mqtt.Connect)
		want   mqtt.Reason
		check  func(t *testing.T, present bool, p mqtt.Properties)
	}{
		"3.1.1 comes in": {change: func(c *mqtt.Connect) { c.Version = mqtt.V311 }},
		"3.1.1 wants its old session, of which nothing is kept": {
			change: func(c *mqtt.Connect) { c.Version, c.Clean = mqtt.V311, false },
			check: func(t *testing.T, present bool, _ mqtt.Properties) {
				if present {
					t.Error("session present")
				}
			},
		},
		"3.1.1 without client id wants a session": {
			change: func(c *mqtt.Connect) { c.Version, c.Clean, c.ClientID = mqtt.V311, false, "" },
			want:   2,
		},
		"3.1.1 with the wrong password": {
			change: func(c *mqtt.Connect) { c.Version, c.Password = mqtt.V311, []byte("x") },
			want:   4,
		},
		"5 with the wrong password": {
			change: func(c *mqtt.Connect) { c.Password = []byte("x") },
			want:   mqtt.BadCredentials,
		},
		"5 without client id is assigned one [MQTT-3.1.3-6]": {
			change: func(c *mqtt.Connect) { c.ClientID = "" },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.AssignedClientID != "d1" {
					t.Errorf("assigned %q", p.AssignedClientID)
				}
			},
		},
		"5 wants to be kept for longer than we do and is told": {
			change: func(c *mqtt.Connect) { c.Properties.SessionExpiry = 1 << 30 },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.SessionExpiry != 3600 {
					t.Errorf("expiry %d", p.SessionExpiry)
				}
			},
		},
		"5 without keep alive is given one [MQTT-3.1.2-21]": {
			change: func(c *mqtt.Connect) { c.KeepAlive = 0 },
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.ServerKeepAlive != 1200 {
					t.Errorf("server keep alive %d", p.ServerKeepAlive)
				}
			},
		},
		"5 is told the limits": {
			check: func(t *testing.T, _ bool, p mqtt.Properties) {
				if p.MaximumPacketSize != 64<<10 || p.ReceiveMaximum == 0 || p.TopicAliasMaximum != 8 || p.ServerKeepAlive != 0 {
					t.Errorf("%+v", p)
				}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t).dial(t, mqtt.V5)
			c := base
			if tt.change != nil {
				tt.change(&c)
			}
			r.Send(mqtt.AppendConnect(nil, c))
			typ, body := r.next()
			reason, present, p, err := mqtt.DecodeConnack(body, c.Version)
			if typ != mqtt.CONNACK || reason != tt.want || err != nil {
				t.Fatalf("type %d, reason 0x%02X, %v; want CONNACK 0x%02X", typ, byte(reason), err, byte(tt.want))
			}
			if tt.check != nil {
				tt.check(t, present, p)
			}
			if tt.want != mqtt.Success {
				if typ, _ := r.next(); typ != 0 {
					t.Errorf("type %d after a refusal, want the end", typ)
				}
			}
		})
	}
}

func TestBreachesEndTheConnectionWithTheirReason(t *testing.T) {
	tests := map[string]struct {
		send []byte
		want mqtt.Reason
	}{
		"a second CONNECT [MQTT-3.1.0-2]":    {mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, ClientID: "d1"}), mqtt.ProtocolError},
		"a packet of servers":                {mqtt.AppendPing(nil, mqtt.PINGRESP), mqtt.ProtocolError},
		"AUTH without a method":              {[]byte{0xF0, 0}, mqtt.ProtocolError},
		"PINGREQ with a body":                {[]byte{0xC0, 1, 0}, mqtt.MalformedPacket},
		"reserved flags":                     {[]byte{0xC1, 0}, mqtt.MalformedPacket},
		"a packet over the limit":            {[]byte{0x30, 0xFF, 0xFF, 0x7F}, mqtt.PacketTooLarge},
		"a retained message [MQTT-3.2.2-14]": {mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: "receipts", Retain: true}), mqtt.RetainNotSupported},
		"a topic alias without a meaning":    {[]byte{0x30, 6, 0, 0, 3, 0x23, 0, 1}, mqtt.ProtocolError},
		"too high an alias [MQTT-3.2.2-17]":  {[]byte{0x30, 6, 0, 0, 3, 0x23, 0, 9}, mqtt.TopicAliasInvalid},
		"a wildcard topic":                   {mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: "#"}), mqtt.TopicInvalid},
		"a subscription identifier of 0":     {[]byte{0x82, 13, 0, 1, 2, 0x0B, 0, 0, 5, 'i', 'n', 'b', 'o', 'x', 1}, mqtt.ProtocolError},
		"an identifier of 0":                 {mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, 0, mqtt.Success), mqtt.ProtocolError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			r := h.enter(t, mqtt.V5, "d1")
			r.Send(tt.send)
			if got := r.disconnected(); got != tt.want {
				t.Errorf("DISCONNECT reason 0x%02X, want 0x%02X", byte(got), byte(tt.want))
			}
			h.Await(t, "end", func() bool { return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Malformed })
		})
	}
}

func TestWhatIsNotMQTTIsClosed(t *testing.T) {
	tests := map[string]struct {
		send string
		want string
	}{
		"HTTP":                {"GET / HTTP/1.1\r\n\r\n", ""},
		"PINGREQ first":       {"\xC0\x00", ""},
		"MQTT 3.1":            {"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", "\x20\x02\x00\x01"},
		"MQTT 6":              {"\x10\x0c\x00\x04MQTT\x06\x02\x00\x3c\x00\x00", "\x20\x03\x00\x84\x00"},
		"5 with a bad method": {"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01x\x00\x00", "\x20\x03\x00\x8c\x00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t).dial(t, mqtt.V5)
			r.Send([]byte(tt.send))
			r.SetReadDeadline(time.Now().Add(soon))
			var got []byte
			buf := make([]byte, 64)
			for {
				n, err := r.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					break
				}
			}
			if string(got) != tt.want {
				t.Errorf("answered % x, want % x", got, tt.want)
			}
		})
	}
}
