package xmpp

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// maxStanza bounds a message in bytes. RFC 6120 (13.12) has servers take 10,000
// at least; those in use take 64 KiB from a component without being told to.
const maxStanza = 64 << 10

// Bounds of RFC 7622 in bytes.
const (
	maxJID      = 3071
	maxResource = 1023
)

// payload is what the app reads of its own; title and body are in the stanza's
// subject and body, where any client finds them.
type payload struct {
	ID           string            `json:"id"`
	Notification string            `json:"notification"`
	Data         map[string]string `json:"data,omitempty"`
	CollapseKey  string            `json:"collapse_key,omitempty"`
	ExpiresAt    string            `json:"expires_at,omitempty"`
}

// encode writes the stanza; the error is that of [Provider.Weigh].
//
//	<message type="chat" id="n1.0.17" from="push.example.org/…" to="ann@example.org">
//	  <subject>…</subject><body>…</body>
//	  <request xmlns="urn:xmpp:receipts"/><markable xmlns="urn:xmpp:chat-markers:0"/>
//	  <x xmlns="jabber:x:expire" seconds="0003600"/>
//	  <notification xmlns="urn:herald:push:1"><json xmlns="urn:xmpp:json:0">{…}</json></notification>
//	</message>
//
// Servers that keep messages read the old expiry (XEP-0023) or none. The new one
// (XEP-0079) is only for those that are known to take it: a server that knows
// the protocol and not this rule must refuse the message. So the payload says it
// again, for the device to drop what comes too late.
func (c *config) encode(d *push.Delivery) ([]byte, error) {
	from := c.sender(d)
	if len(from)-len(c.Domain)-1 > maxResource || len(d.Address.Token) > maxJID {
		return nil, rejected("", "the address is too long")
	}
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return nil, err
	}
	end := providers.Sooner(d.ExpiresAt, o.TTL)
	p := payload{ID: d.ID, Notification: d.Notification.ID, Data: d.Data, CollapseKey: d.CollapseKey}
	if !end.IsZero() {
		p.ExpiresAt = end.UTC().Format(time.RFC3339)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, rejected("", "the data cannot be encoded")
	}

	var w writer
	w.open("message", "type", cmp.Or(o.Type, c.Type), "id", d.ID, "from", from, "to", d.Address.Token)
	if !o.DataOnly {
		w.text("subject", d.Title)
		w.text("body", d.Body)
	}
	w.raw(`<request xmlns="urn:xmpp:receipts"/><markable xmlns="urn:xmpp:chat-markers:0"/>`)
	if unkept := d.Class == push.OTP || d.Class == push.Call; o.Store == nil && unkept || o.Store != nil && !*o.Store {
		w.raw(`<no-store xmlns="urn:xmpp:hints"/>`) // worth nothing in an archive
	}
	if p.ExpiresAt != "" {
		left := min(max(int(time.Until(end).Seconds()), 1), 9999999)
		w.open("x", "xmlns", "jabber:x:expire", "seconds", fmt.Sprintf("%07d", left)) // a message weighs the same at every moment
		w.raw("</x>")
	}
	if p.ExpiresAt != "" && c.AMP {
		w.raw(`<amp xmlns="http://jabber.org/protocol/amp">`)
		w.open("rule", "condition", "expire-at", "action", "drop", "value", p.ExpiresAt)
		w.raw(`</rule></amp>`)
	}
	w.raw(`<notification xmlns="urn:herald:push:1"><json xmlns="urn:xmpp:json:0">`)
	w.escape(string(data))
	w.raw(`</json></notification></message>`)
	if w.Len() > maxStanza {
		return w.Bytes(), rejected("too_large", fmt.Sprintf("the stanza has %d bytes; servers take %d", w.Len(), maxStanza))
	}
	return w.Bytes(), nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// writer writes XML. Everything that is not written in this file goes through
// escape, which also replaces what XML cannot hold.
type writer struct{ bytes.Buffer }

func (w *writer) raw(s string) { w.WriteString(s) }

func (w *writer) escape(s string) { _ = xml.EscapeText(&w.Buffer, []byte(s)) } // a buffer takes everything

func (w *writer) open(element string, attrs ...string) {
	w.raw("<" + element)
	for i := 0; i+1 < len(attrs); i += 2 {
		w.raw(" " + attrs[i] + `="`)
		w.escape(attrs[i+1])
		w.raw(`"`)
	}
	w.raw(">")
}

// text writes an element if there is text for it.
func (w *writer) text(element, s string) {
	if s != "" {
		w.raw("<" + element + ">")
		w.escape(s)
		w.raw("</" + element + ">")
	}
}

// sender is the address a delivery is sent from, and so the one that receipts
// and errors come back to. Its resource says whose delivery it was, under a seal
// that covers the delivery and the recipient: whatever process hears of it
// later knows what it is about, and nobody can report another's message.
func (c *config) sender(d *push.Delivery) string {
	return c.Domain + "/" + enc.EncodeToString([]byte(d.App)) + "." + enc.EncodeToString([]byte(d.Device)) +
		"." + enc.EncodeToString(c.seal(d.App, d.Device, d.ID, d.Address.Token))
}

var enc = base64.RawURLEncoding

// opened undoes sender for a stanza that came from a JID about a delivery.
func (c *config) opened(to, from, delivery string) (app, device string, ok bool) {
	_, resource, _ := strings.Cut(to, "/")
	parts := strings.Split(resource, ".")
	if len(parts) != 3 {
		return "", "", false
	}
	a, err1 := enc.DecodeString(parts[0])
	d, err2 := enc.DecodeString(parts[1])
	seal, err3 := enc.DecodeString(parts[2])
	if err1 != nil || err2 != nil || err3 != nil {
		return "", "", false
	}
	app, device = string(a), string(d)
	return app, device, hmac.Equal(seal, c.seal(app, device, delivery, from))
}

func (c *config) seal(app, device, delivery, jid string) []byte {
	bare, _, _ := strings.Cut(jid, "/") // any of the person's clients may answer
	mac := hmac.New(sha256.New, []byte("herald xmpp receipts\x00"+c.Secret))
	for _, s := range []string{app, device, delivery, strings.ToLower(bare)} {
		fmt.Fprintf(mac, "%d:%s", len(s), s)
	}
	return mac.Sum(nil)[:16]
}
