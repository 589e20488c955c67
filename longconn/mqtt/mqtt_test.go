package mqtt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// wire turns "10 0c 'MQTT' 04" into bytes.
func wire(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for f := range strings.FieldsSeq(s) {
		if strings.HasPrefix(f, "'") {
			out = append(out, strings.Trim(f, "'")...)
			continue
		}
		b, err := hex.DecodeString(f)
		if err != nil {
			t.Fatalf("%q in %q: %v", f, s, err)
		}
		out = append(out, b...)
	}
	return out
}

// decode reads the one packet in b as a server does after CONNECT.
func decode(b []byte, version byte) (any, error) {
	h, body, n, err := Split(b, 1<<20)
	if err != nil {
		return nil, err
	}
	if n != len(b) {
		return nil, errors.New("not exactly one packet")
	}
	switch h.Type {
	case CONNECT:
		c, err := DecodeConnect(body)
		return c, err
	case PUBLISH:
		p, err := DecodePublish(h, body, version)
		return p, err
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		id, _, err := DecodeAck(h, body, version)
		return id, err
	case SUBSCRIBE:
		s, err := DecodeSubscribe(body, version)
		return s, err
	case UNSUBSCRIBE:
		_, f, err := DecodeUnsubscribe(body, version)
		return f, err
	case DISCONNECT:
		r, _, err := DecodeDisconnect(body, version)
		return r, err
	case CONNACK:
		r, _, _, err := DecodeConnack(body, version)
		return r, err
	default:
		return nil, nil
	}
}

func TestMalformedPacketsAreRefused(t *testing.T) {
	tests := map[string]struct {
		version byte
		packet  string
		want    Reason
	}{
		"packet type 0 [MQTT-2.1.2]":                           {V5, "00 00", MalformedPacket},
		"reserved flags of SUBSCRIBE are not 2 [MQTT-2.1.3-1]": {V5, "80 00", MalformedPacket},
		"reserved flags of PINGREQ are not 0":                  {V5, "c1 00", MalformedPacket},
		"remaining length of five bytes":                       {V5, "c0 ff ff ff ff 01", MalformedPacket},
		"remaining length over the limit":                      {V5, "30 ff ff ff 7f", PacketTooLarge},
		"protocol name is not MQTT [MQTT-3.1.2-1]":             {V5, "10 0c 0004 'HTTP' 04 02 003c 0000", UnsupportedVersion},
		"MQTT 3.1":                                          {V5, "10 0e 0006 'MQIsdp' 03 02 003c 0000", UnsupportedVersion},
		"protocol level 6":                                  {V5, "10 0c 0004 'MQTT' 06 02 003c 0000", UnsupportedVersion},
		"reserved CONNECT flag [MQTT-3.1.2-3]":              {V5, "10 0c 0004 'MQTT' 04 03 003c 0000", MalformedPacket},
		"will QoS 3 [MQTT-3.1.2-12]":                        {V5, "10 0c 0004 'MQTT' 04 1e 003c 0000", MalformedPacket},
		"will QoS without a will [MQTT-3.1.2-11]":           {V5, "10 0c 0004 'MQTT' 04 0a 003c 0000", MalformedPacket},
		"will retain without a will [MQTT-3.1.2-13]":        {V5, "10 0c 0004 'MQTT' 04 22 003c 0000", MalformedPacket},
		"3.1.1 password without user name":                  {V311, "10 0f 0004 'MQTT' 04 42 003c 0000 0001 'p'", MalformedPacket},
		"client id is not UTF-8 [MQTT-1.5.4-1]":             {V311, "10 0d 0004 'MQTT' 04 02 003c 0001 ff", MalformedPacket},
		"client id contains a surrogate":                    {V311, "10 0f 0004 'MQTT' 04 02 003c 0003 eda080", MalformedPacket},
		"client id contains U+0000 [MQTT-1.5.4-2]":          {V311, "10 0d 0004 'MQTT' 04 02 003c 0001 00", MalformedPacket},
		"CONNECT ends inside the client id":                 {V311, "10 0d 0004 'MQTT' 04 02 003c 0005 'a'", MalformedPacket},
		"CONNECT has bytes left over":                       {V311, "10 0d 0004 'MQTT' 04 02 003c 0000 00", MalformedPacket},
		"will topic with a wildcard":                        {V311, "10 11 0004 'MQTT' 04 06 003c 0000 0001 '#' 0000", TopicInvalid},
		"receive maximum 0":                                 {V5, "10 10 0004 'MQTT' 05 02 003c 03 21 0000 0000", ProtocolError},
		"maximum packet size 0":                             {V5, "10 12 0004 'MQTT' 05 02 003c 05 27 00000000 0000", ProtocolError},
		"receive maximum twice":                             {V5, "10 13 0004 'MQTT' 05 02 003c 06 21 0001 21 0001 0000", ProtocolError},
		"property of another packet [MQTT-2.2.2]":           {V5, "10 10 0004 'MQTT' 05 02 003c 03 23 0001 0000", MalformedPacket},
		"property that does not exist":                      {V5, "10 0f 0004 'MQTT' 05 02 003c 02 7f 00 0000", MalformedPacket},
		"property length beyond the packet":                 {V5, "10 0d 0004 'MQTT' 05 02 003c 20 0000", MalformedPacket},
		"property length longer than needed [MQTT-1.5.5-1]": {V5, "10 0e 0004 'MQTT' 05 02 003c 8000 0000", MalformedPacket},
		"request problem information of 2":                  {V5, "10 0f 0004 'MQTT' 05 02 003c 02 17 02 0000", ProtocolError},
		"PUBLISH of QoS 3 [MQTT-3.3.1-4]":                   {V5, "36 06 0001 'a' 0001 00", MalformedPacket},
		"PUBLISH of QoS 0 with DUP [MQTT-3.3.1-2]":          {V5, "38 04 0001 'a' 00", MalformedPacket},
		"PUBLISH without packet identifier":                 {V311, "32 03 0001 'a'", MalformedPacket},
		"PUBLISH with packet identifier 0 [MQTT-2.2.1-3]":   {V311, "32 05 0001 'a' 0000", ProtocolError},
		"PUBLISH to a wildcard [MQTT-3.3.2-2]":              {V311, "30 05 0003 'a/#'", TopicInvalid},
		"PUBLISH to no topic":                               {V5, "30 03 0000 00", TopicInvalid},
		"topic alias 0 [MQTT-3.3.2-8]":                      {V5, "30 07 0001 'a' 03 23 0000", TopicAliasInvalid},
		"SUBSCRIBE to nothing [MQTT-3.8.3-2]":               {V311, "82 02 0001", MalformedPacket},
		"SUBSCRIBE with packet identifier 0":                {V311, "82 06 0000 0001 'a' 00", ProtocolError},
		"SUBSCRIBE with QoS 3 [MQTT-3.8.3-4]":               {V311, "82 06 0001 0001 'a' 03", MalformedPacket},
		"SUBSCRIBE with reserved option bits in 3.1.1":      {V311, "82 06 0001 0001 'a' 04", MalformedPacket},
		"SUBSCRIBE with retain handling 3":                  {V5, "82 07 0001 00 0001 'a' 30", MalformedPacket},
		"SUBSCRIBE with # in the middle [MQTT-4.7.1-1]":     {V311, "82 08 0001 0003 '#/a' 00", MalformedPacket},
		"SUBSCRIBE with + beside a letter [MQTT-4.7.1-2]":   {V311, "82 07 0001 0002 'a+' 00", MalformedPacket},
		"SUBSCRIBE to an empty filter [MQTT-4.7.3-1]":       {V311, "82 05 0001 0000 00", MalformedPacket},
		"no local on a shared subscription [MQTT-3.8.3-4]":  {V5, "82 10 0001 00 000a '$share/g/t' 04", ProtocolError},
		"UNSUBSCRIBE from nothing [MQTT-3.10.3-2]":          {V311, "a2 02 0001", MalformedPacket},
		"PUBACK with bytes left over in 3.1.1":              {V311, "40 03 0001 00", MalformedPacket},
		"PUBACK without identifier":                         {V311, "40 01 00", MalformedPacket},
		"DISCONNECT with a body in 3.1.1":                   {V311, "e0 01 00", MalformedPacket},
		"DISCONNECT with a property of CONNACK":             {V5, "e0 05 00 03 13 0001", MalformedPacket},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(wire(t, tt.packet), tt.version)
			var fault *Fault
			if !errors.As(err, &fault) {
				t.Fatalf("decoded to %+v, %v", got, err)
			}
			if fault.Reason != tt.want {
				t.Errorf("reason 0x%02X (%v), want 0x%02X", byte(fault.Reason), err, byte(tt.want))
			}
		})
	}
}

func TestPacketsFromTheSpecificationAreRead(t *testing.T) {
	tests := map[string]struct {
		version byte
		packet  string
		want    any
	}{
		"CONNECT of 3.1.1 with everything": {
			V311,
			"10 25 0004 'MQTT' 04 ce 000a 0002 'id' 0004 'will' 0003 'bye' 0004 'user' 0004 'pass'",
			Connect{
				Version: V311, Clean: true, KeepAlive: 10, ClientID: "id", HasUser: true, Username: "user",
				HasPass: true, Password: []byte("pass"), Will: &Will{Topic: "will", Payload: []byte("bye"), QoS: 1},
			},
		},
		"CONNECT of 5 with a password alone": {
			V5,
			"10 10 0004 'MQTT' 05 42 0000 00 0000 0001 'p'",
			Connect{Version: V5, Clean: true, HasPass: true, Password: []byte("p")},
		},
		"CONNECT of 5 with user properties twice": {
			V5,
			"10 1b 0004 'MQTT' 05 02 0000 0e 26 0001 'a' 0001 'b' 26 0001 'a' 0001 'b' 0000",
			Connect{Version: V5, Clean: true, Properties: Properties{has: 1 << PropUser, User: []Pair{{"a", "b"}, {"a", "b"}}}},
		},
		"PUBLISH of QoS 2, again":      {V311, "3c 07 0001 'a' 0007 'hi'", Publish{Topic: "a", ID: 7, QoS: 2, Dup: true, Payload: []byte("hi")}},
		"PUBLISH of nothing":           {V311, "30 03 0001 'a'", Publish{Topic: "a", Payload: []byte{}}},
		"PUBLISH by alias":             {V5, "30 06 0000 03 23 0001", Publish{Payload: nil, Properties: Properties{has: 1 << PropTopicAlias, TopicAlias: 1}}},
		"length written the long way":  {V311, "30 83 00 0001 'a'", Publish{Topic: "a", Payload: []byte{}}},
		"PUBACK with reason":           {V5, "40 04 0007 00 00", uint16(7)},
		"PUBREL":                       {V311, "62 02 0007", uint16(7)},
		"SUBSCRIBE to two":             {V5, "82 0b 0001 00 0001 'a' 01 0001 '#' 02", Subscribe{ID: 1, Filters: []Filter{{"a", 1}, {"#", 2}}}},
		"UNSUBSCRIBE":                  {V311, "a2 05 0001 0001 'a'", []string{"a"}},
		"DISCONNECT of 5 with nothing": {V5, "e0 00", Success},
		"DISCONNECT of 5 with expiry":  {V5, "e0 07 04 05 11 00000001", Reason(4)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(wire(t, tt.packet), tt.version)
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := got.(Publish); ok && len(p.Payload) == 0 {
				p.Payload = tt.want.(Publish).Payload
				got = p
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSplitWaitsForTheWholePacket(t *testing.T) {
	whole := AppendPublish(nil, V5, Publish{Topic: "inbox", Payload: bytes.Repeat([]byte("x"), 300), ID: 9, QoS: 1})
	for cut := range whole {
		if _, _, n, err := Split(whole[:cut], 1<<10); n != 0 || err != nil {
			t.Fatalf("Split of %d of %d bytes = %d, %v", cut, len(whole), n, err)
		}
	}
	if _, _, n, err := Split(append(whole, 1, 2, 3), 1<<10); n != len(whole) || err != nil {
		t.Fatalf("Split = %d, %v, want %d", n, err, len(whole))
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	expiry := uint32(7)
	for _, version := range []byte{V311, V5} {
		in := Publish{Topic: "inbox", Payload: []byte("hi"), ID: 9, QoS: 1, Dup: true}
		if version == V5 {
			in.Properties = Properties{has: 1 << PropMessageExpiry, MessageExpiry: 60}
		}
		packet := AppendPublish(nil, version, in)
		if got, err := decode(packet, version); err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("PUBLISH: %+v, %v", got, err)
		}
		if size := SizePublish(version, in); size != len(packet)-2 {
			t.Errorf("SizePublish = %d of a packet of %d", size, len(packet))
		}
		h, body, _, _ := Split(AppendAck(nil, version, PUBACK, 3, NotAuthorized), 99)
		id, reason, err := DecodeAck(h, body, version)
		if id != 3 || err != nil || (version == V5) != (reason == NotAuthorized) {
			t.Errorf("PUBACK: %d, %d, %v", id, reason, err)
		}
		ack := AppendConnack(nil, version, Connack{SessionExpiry: &expiry, Properties: Properties{
			ServerKeepAlive: 30, ReceiveMaximum: 4, MaximumPacketSize: 5, AssignedClientID: "id",
		}})
		_, body, _, _ = Split(ack, 99)
		reason, present, p, err := DecodeConnack(body, version)
		if reason != Success || present || err != nil {
			t.Errorf("CONNACK: %d, %v, %v", reason, present, err)
		}
		if version == V5 && (p.ServerKeepAlive != 30 || p.SessionExpiry != 7 || p.ReceiveMaximum != 4 || p.MaximumPacketSize != 5 || p.AssignedClientID != "id") {
			t.Errorf("CONNACK properties: %+v", p)
		}
	}
}

func TestReasonsBecomeReturnCodes(t *testing.T) {
	for reason, code := range map[Reason]byte{
		Success: 0, UnsupportedVersion: 1, BadClientID: 2, ServerUnavailable: 3, ServerBusy: 3, BadCredentials: 4, NotAuthorized: 5,
	} {
		if got := AppendConnack(nil, V311, Connack{Reason: reason}); !bytes.Equal(got, []byte{0x20, 2, 0, code}) {
			t.Errorf("reason 0x%02X: % x", byte(reason), got)
		}
	}
}

// FuzzDecode: no input makes the codec panic or read beyond a packet, and what
// it accepts it has understood: written again, it is read the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"10 25 0004 'MQTT' 04 ce 000a 0002 'id' 0004 'will' 0003 'bye' 0004 'user' 0004 'pass'",
		"10 10 0004 'MQTT' 05 42 0000 00 0000 0001 'p'", "3c 07 0001 'a' 0007 'hi'", "40 04 0007 00 00",
		"82 0b 0001 00 0001 'a' 01 0001 '#' 02", "a2 05 0001 0001 'a'", "e0 07 04 05 11 00000001", "c0 00", "f0 00",
		"20 0b 00 00 08 21 0001 22 0001 13 0001",
	} {
		f.Add(wire(f, seed), true)
		f.Add(wire(f, seed), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, five bool) {
		version := V311
		if five {
			version = V5
		}
		_, body, n, err := Split(b, 1<<16)
		if n > len(b) || (err != nil && n > 1<<16 && !errors.As(err, new(*Fault))) || (n == 0 && body != nil) {
			t.Fatalf("Split = %d of %d bytes, %v", n, len(b), err)
		}
		if err != nil || n == 0 {
			return
		}
		got, err := decode(b[:n:n], version)
		if err != nil {
			if !errors.As(err, new(*Fault)) {
				t.Fatalf("error %v is no Fault", err)
			}
			return
		}
		p, ok := got.(Publish)
		if !ok || p.Properties.has&^(1<<PropMessageExpiry) != 0 || p.Properties.Has(PropMessageExpiry) && p.Properties.MessageExpiry == 0 {
			return
		}
		again, err := decode(AppendPublish(nil, version, p), version)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("read %+v, wrote it, read %+v, %v", got, again, err)
		}
	})
}
