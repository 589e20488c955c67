package smpp

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

func TestReceiptsAreReadInEveryForm(t *testing.T) {
	tests := map[string]struct {
		text string
		tlvs []pdu.TLV
		want receipt
	}{
		"the specification's text": {
			"id:0123456789 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:Your code", nil,
			receipt{id: "0123456789", state: "DELIVRD", network: "000"},
		},
		"capitals elsewhere": {
			"ID:a1 SUB:1 DLVRD:0 SUBMIT DATE:2611231200 DONE DATE:2611231201 STAT:undeliv ERR:27 TEXT:", nil,
			receipt{id: "a1", state: "UNDELIV", network: "27"},
		},
		"a message that claims to be delivered": {
			"id:a1 stat:EXPIRED err:1 Text:id:b2 stat:DELIVRD", nil, receipt{id: "a1", state: "EXPIRED", network: "1"},
		},
		"parameters count before text": {
			"id:17 stat:ENROUTE",
			[]pdu.TLV{{Tag: pdu.ReceiptedMessageID, Value: []byte("11\x00")}, {Tag: pdu.MessageState, Value: []byte{2}}},
			receipt{id: "11", state: "DELIVRD"},
		},
		"a reference of ours": {
			"",
			[]pdu.TLV{{Tag: pdu.UserReference, Value: []byte{1, 2}}, {Tag: pdu.MessageState, Value: []byte{3}}},
			receipt{state: "EXPIRED", reference: 0x102, hasReference: true},
		},
		"a state nobody knows": {"id:1", []pdu.TLV{{Tag: pdu.MessageState, Value: []byte{200}}}, receipt{id: "1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.to = "15551234567"
			m := pdu.Message{Source: pdu.Address{Number: "15551234567"}, ESMClass: 4, Text: []byte(tt.text), TLVs: tt.tlvs}
			if got := readReceipt(&m); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("readReceipt() = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte("id:1 stat:DELIVRD err:000 text:x"), byte(4))
	f.Add([]byte{}, byte(0x44))                     // says that it has a header, and has nothing
	f.Add([]byte("\xff\xff\xff\xfftext:"), byte(4)) // is longer in lower case
	f.Add([]byte{5, 0, 3, 1, 2, 1, 'i', 'd', ':', '1'}, byte(0x44))
	f.Fuzz(func(_ *testing.T, text []byte, class byte) {
		r := readReceipt(&pdu.Message{ESMClass: class, Text: text})
		_ = r.stage()
		_ = otherForms(r.id)
	})
}

func TestEveryStateThatFailsHasAKind(t *testing.T) {
	p := open(t, "127.0.0.1:1", nil)
	for state, want := range map[string]string{
		"EXPIRED": "rejected", "DELETED": "rejected", "UNDELIV": "unavailable", "REJECTD": "policy", "UNKNOWN": "unknown",
	} {
		if got := push.KindName(p.codes.Error(name, 0, state).Kind); got != want {
			t.Errorf("%s is %s, want %s", state, got, want)
		}
	}
}

// book sends a delivery of some parts, with the ids "1", "2" and so on.
func book(l *ledger, parts int) *journey {
	now := time.Now()
	j := newJourney(delivery("n1.0.0"), "15551234567", parts, now)
	for i := range parts {
		l.sent(&awaited{journey: j, id: fmt.Sprint(i + 1), reference: uint16(i), part: i}, now)
	}
	return j
}

// tells is what a receipt newly proves; "-" if its message is not known.
func tells(l *ledger, r receipt) push.Stage {
	a := l.find(r, time.Now())
	if a == nil {
		return "-"
	}
	whole := l.proves(a, r.stage())
	l.tell(a, whole, r.stage())
	return whole
}

func TestADeliveryIsWhereTheSlowestPartIs(t *testing.T) {
	l := newLedger()
	book(l, 3)
	steps := []struct {
		id, state string
		want      push.Stage
	}{
		{"1", "DELIVRD", ""}, {"2", "ACCEPTD", ""}, {"3", "DELIVRD", push.HandedOver}, {"2", "DELIVRD", push.Delivered}, {"2", "DELIVRD", "-"},
	}
	for _, step := range steps {
		if got := tells(l, receipt{id: step.id, state: step.state}); got != step.want {
			t.Errorf("part %s %s proves %q, want %q", step.id, step.state, got, step.want)
		}
	}
	if l.waits(time.Now()) {
		t.Error("a receipt is still awaited")
	}
}

func TestADeliveryFailsWithItsFirstPart(t *testing.T) {
	l := newLedger()
	book(l, 2)
	if got := tells(l, receipt{id: "2", state: "EXPIRED"}); got != push.Failed {
		t.Errorf("the first failure proves %q", got)
	}
	if got := tells(l, receipt{id: "1", state: "UNDELIV"}); got != "" {
		t.Errorf("the second failure proves %q", got)
	}
}

func TestReceiptsFindTheirMessage(t *testing.T) {
	const to = "15551234567"
	tests := map[string]struct {
		id   string
		r    receipt
		want push.Stage
	}{
		"by its id":                          {"a0", receipt{id: "a0"}, push.Delivered},
		"by its number in the other base":    {"a0", receipt{id: "160", to: "+" + to}, push.Delivered},
		"by its number, answered in decimal": {"160", receipt{id: "A0", to: to}, push.Delivered},
		"by its number without the zeros":    {"160", receipt{id: "0000000160", to: to}, push.Delivered},
		"by our reference":                   {"x", receipt{id: "y", to: to, reference: 7, hasReference: true}, push.Delivered},
		"not by another phone's number":      {"a0", receipt{id: "160", to: "15550000000"}, "-"},
		"not by another phone's reference":   {"x", receipt{id: "y", to: "15550000000", reference: 7, hasReference: true}, "-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, now := newLedger(), time.Now()
			l.sent(&awaited{journey: newJourney(delivery("n1.0.0"), to, 1, now), id: tt.id, reference: 7}, now)
			tt.r.state = "DELIVRD"
			if got := tells(l, tt.r); got != tt.want {
				t.Errorf("the receipt proves %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAReceiptMayComeBeforeItsAnswer(t *testing.T) {
	l, now := newLedger(), time.Now()
	if a := l.find(receipt{id: "1", state: "DELIVRD"}, now); a != nil {
		t.Fatal("found before it was sent")
	}
	a := &awaited{journey: newJourney(delivery("n1.0.0"), "1", 1, now), id: "1"}
	if before := l.sent(a, now.Add(time.Second)); len(before) != 1 || before[0].state != "DELIVRD" {
		t.Errorf("sent() = %+v, want the early receipt", before)
	}
	l.find(receipt{id: "2"}, now)
	b := &awaited{journey: a.journey, id: "2"}
	if before := l.sent(b, now.Add(time.Hour)); len(before) != 0 {
		t.Errorf("sent() = %+v, want nothing from an hour ago", before)
	}
}

func TestTheLedgerIsBounded(t *testing.T) {
	l, now := newLedger(), time.Now()
	j := newJourney(delivery("n1.0.0"), "1", 1, now)
	for i := range maxAwaited + 10 {
		l.sent(&awaited{journey: j, id: fmt.Sprint(i), reference: uint16(i)}, now)
	}
	for i := range 2 * maxEarly {
		l.find(receipt{id: fmt.Sprint("x", i)}, now)
	}
	if len(l.byID) != maxAwaited || len(l.order) != maxAwaited || len(l.early) != maxEarly {
		t.Errorf("%d messages, %d in order, %d early", len(l.byID), len(l.order), len(l.early))
	}
	if l.byID["9"] != nil || l.byID["10"] == nil {
		t.Error("not the oldest were forgotten")
	}
}
