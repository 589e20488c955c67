package sandbox

import (
	"fmt"
	"strings"

	"github.com/herald-push/herald/internal/smstext"
	"github.com/herald-push/herald/providers/smpp/pdu"
)

// maxTexts bounds the texts whose parts have not all come.
const maxTexts = 4096

// textPart is a message as a phone reads it, or a part of a long one.
type textPart struct {
	To    string `json:"to"`
	From  string `json:"from"`
	Text  string `json:"text"`
	Part  int    `json:"part,omitempty"`
	Parts int    `json:"parts,omitempty"`

	reference string
}

// longText is the parts of a text that have come.
type longText struct {
	parts []string
	have  []*smppReceipt // by part; nil for those to come
}

// readPart reads the numbers, the text and its place in a longer one (3GPP TS
// 23.040, section 9.2.3.24).
func readPart(m *pdu.Message) *textPart {
	p := &textPart{To: "+" + strings.TrimPrefix(m.Dest.Number, "+"), From: m.Source.Number}
	text := m.Text
	if len(text) == 0 {
		text = pdu.Find(m.TLVs, pdu.MessagePayload)
	}
	if m.ESMClass&pdu.HasHeader != 0 && len(text) > 0 && int(text[0]) < len(text) {
		p.place(text[1 : 1+int(text[0])])
		text = text[1+int(text[0]):]
	}
	p.Text = smstext.Decode(text, smstext.Coding(m.DataCoding))
	return p
}

// place reads the element that joins parts: its reference has 8 or 16 bits.
func (p *textPart) place(header []byte) {
	for len(header) >= 2 && len(header) >= 2+int(header[1]) {
		kind, e := header[0], header[2:2+int(header[1])]
		if kind == 0 && len(e) == 3 || kind == 8 && len(e) == 4 {
			n := len(e) - 2
			p.reference, p.Parts, p.Part = fmt.Sprintf("%x", e[:n]), int(e[n]), int(e[n+1])
		}
		header = header[2+len(e):]
	}
	if p.Part < 1 || p.Part > p.Parts {
		p.Part, p.Parts = 0, 0
	}
}

// join adds a part to its text; whole is nil until the last has come.
func (c *centre) join(r *smppReceipt, p *textPart) (whole *textPart, of []*smppReceipt) {
	if p.Parts < 2 {
		return p, []*smppReceipt{r}
	}
	key := p.To + " " + p.From + " " + p.reference
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.texts[key]
	if t == nil || len(t.have) != p.Parts {
		for other := range c.texts { // any: Go's order is random enough
			if len(c.texts) < maxTexts {
				break
			}
			delete(c.texts, other)
		}
		t = &longText{parts: make([]string, p.Parts), have: make([]*smppReceipt, p.Parts)}
		c.texts[key] = t
	}
	t.parts[p.Part-1], t.have[p.Part-1] = p.Text, r
	for _, part := range t.have {
		if part == nil {
			return nil, nil
		}
	}
	delete(c.texts, key)
	return &textPart{To: p.To, From: p.From, Text: strings.Join(t.parts, "")}, t.have
}

// beginning is the twenty characters that a receipt repeats, as far as ASCII
// has them.
func beginning(text string) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() == 20 {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
