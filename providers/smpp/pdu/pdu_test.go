package pdu

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// The example of section 3.2.3 of the specification.
const example = "0000002f00000002000000000000000153" + "4d505033544553540073656372657430380053554" + "24d49543100000101" + "00"

func TestTheSpecificationsExampleIsRead(t *testing.T) {
	octets, err := hex.DecodeString(example)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(bufio.NewReader(bytes.NewReader(octets)))
	if err != nil || p.Command != 2 || p.Sequence != 1 || p.Status != 0 {
		t.Fatalf("Read() = %+v, %v", p, err)
	}
	b, err := ParseBind(p.Body)
	if err != nil || b.SystemID != "SMPP3TEST" || b.Password != "secret08" || b.SystemType != "SUBMIT1" {
		t.Errorf("ParseBind() = %+v, %v", b, err)
	}
	if got := p.Append(nil); !bytes.Equal(got, octets) {
		t.Errorf("Append() = % x", got)
	}
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	m := Message{
		ServiceType: "CMT", Source: Address{5, 0, "Herald"}, Dest: Address{1, 1, "15551234567"},
		ESMClass: HasHeader, Priority: 1, Validity: "000001000000000R", Registered: 1, DataCoding: 8,
		Text: []byte{5, 0, 3, 7, 2, 1, 0, 'x'}, TLVs: []TLV{{UserReference, []byte{1, 2}}, {MessageState, []byte{2}}},
	}
	body, err := m.Body()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseMessage(body)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("ParseMessage() = %+v, %v, want %+v", got, err, m)
	}
	if v := Find(got.TLVs, UserReference); !bytes.Equal(v, []byte{1, 2}) {
		t.Errorf("Find() = %v", v)
	}
}

func TestWhatDoesNotFitIsNotWritten(t *testing.T) {
	tests := map[string]func() ([]byte, error){
		"a number too long":  (&Message{Dest: Address{Number: strings.Repeat("1", 21)}}).Body,
		"a zero in a number": (&Message{Dest: Address{Number: "1\x001"}}).Body,
		"a text too long":    (&Message{Text: make([]byte, 255)}).Body,
		"a name too long":    (&Bind{SystemID: strings.Repeat("x", 16)}).Body,
		"an option too long": (&Answer{TLVs: []TLV{{MessagePayload, make([]byte, 1<<16)}}}).Body,
		"options beyond the unit": (&Answer{TLVs: []TLV{
			{MessagePayload, make([]byte, 60000)}, {MessagePayload, make([]byte, 60000)},
		}}).Body,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := body(); !errors.Is(err, ErrMalformed) {
				t.Errorf("Body() error = %v, want malformed", err)
			}
		})
	}
}

func TestWhatIsNoSMPPIsRefused(t *testing.T) {
	tests := map[string]struct {
		octets string
		want   error
	}{
		"a length below a header": {"\x00\x00\x00\x0f" + strings.Repeat("\x00", 12), ErrMalformed},
		"a length beyond all":     {"\x7f\xff\xff\xff" + strings.Repeat("\x00", 12), ErrMalformed},
		"an answer in HTTP":       {"HTTP/1.1 400 Bad Request\r\n\r\n", ErrMalformed},
		"a body that ends early":  {"\x00\x00\x00\x20" + strings.Repeat("\x00", 14), io.ErrUnexpectedEOF},
		"nothing":                 {"", io.EOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(bufio.NewReader(strings.NewReader(tt.octets))); !errors.Is(err, tt.want) {
				t.Errorf("Read() error = %v, want %v", err, tt.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	octets, _ := hex.DecodeString(example)
	f.Add(octets)
	m := Message{Text: []byte("id:1 stat:DELIVRD"), TLVs: []TLV{{ReceiptedMessageID, []byte("1\x00")}}}
	body, _ := m.Body()
	p := PDU{Command: DeliverSM, Body: body}
	f.Add(p.Append(nil))
	f.Fuzz(func(t *testing.T, octets []byte) {
		r := bufio.NewReader(bytes.NewReader(octets))
		for {
			p, err := Read(r)
			if err != nil {
				return
			}
			if again, err := Read(bufio.NewReader(bytes.NewReader(p.Append(nil)))); err != nil || !reflect.DeepEqual(again, p) {
				t.Fatalf("%+v became %+v, %v", p, again, err)
			}
			roundTrips(t, p.Body)
		}
	})
}

// roundTrips checks that a body that can be read is written as it was read.
func roundTrips(t *testing.T, body []byte) {
	if m, err := ParseMessage(body); err == nil {
		if again, err := m.Body(); err != nil || !bytes.Equal(again, body) {
			t.Fatalf("message % x became % x, %v", body, again, err)
		}
	}
	if m, err := ParseAnswer(body); err == nil && len(body) > 0 {
		if again, err := m.Body(); err != nil || !bytes.Equal(again, body) {
			t.Fatalf("answer % x became % x, %v", body, again, err)
		}
	}
	_, _ = ParseBind(body)
}
