package smpp

import (
	"encoding/binary"
	"strings"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// receipt is what a delivery receipt tells of one message.
type receipt struct {
	id        string // the service's, of submit_sm_resp
	to        string // the number that the message went to
	reference uint16 // ours, if hasReference
	state     string // a word of the specification's appendix B
	network   string // the network's own error; may be empty

	hasReference bool
}

// states are the values of message_state (section 5.2.28).
var states = [...]string{1: "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD"}

// readReceipt reads a receipt from a deliver_sm that is one. Optional
// parameters say it without doubt; the text is for services without them.
func readReceipt(m *pdu.Message) receipt {
	r := receipt{to: m.Source.Number}
	text := m.Text
	if payload := pdu.Find(m.TLVs, pdu.MessagePayload); len(text) == 0 {
		text = payload
	}
	if m.ESMClass&pdu.HasHeader != 0 && len(text) > 0 && len(text) > int(text[0]) {
		text = text[int(text[0])+1:]
	}
	fields := textFields(string(text))
	r.id, r.state, r.network = fields["id"], strings.ToUpper(fields["stat"]), fields["err"]
	if id := pdu.Text(pdu.Find(m.TLVs, pdu.ReceiptedMessageID)); id != "" {
		r.id = id
	}
	if v := pdu.Find(m.TLVs, pdu.MessageState); len(v) == 1 && int(v[0]) < len(states) && v[0] > 0 {
		r.state = states[v[0]]
	}
	if v := pdu.Find(m.TLVs, pdu.UserReference); len(v) == 2 {
		r.reference, r.hasReference = binary.BigEndian.Uint16(v), true
	}
	return r
}

// textFields reads the text of appendix B, such as
//
//	id:IIII sub:001 dlvrd:001 submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DELIVRD err:000 text:...
//
// up to its last field, which is the message's own beginning and could claim
// anything. Of a field that comes twice the first counts.
func textFields(text string) map[string]string {
	fields := make(map[string]string)
	for word := range strings.FieldsSeq(text) {
		key, value, ok := strings.Cut(word, ":")
		key = strings.ToLower(key)
		if ok && key == "text" {
			break
		}
		if _, twice := fields[key]; ok && !twice {
			fields[key] = value
		}
	}
	return fields
}

// stage is what a state proves; "" for one that proves nothing yet.
func (r *receipt) stage() push.Stage {
	switch r.state {
	case "DELIVRD":
		return push.Delivered
	case "ACCEPTD":
		return push.HandedOver // the next in line has it, or a person answered for the device
	case "EXPIRED", "DELETED", "UNDELIV", "REJECTD":
		return push.Failed
	case "UNKNOWN":
		return push.Unknown
	default:
		return ""
	}
}
