package xmpp

import (
	"context"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	nsReceipts = "urn:xmpp:receipts"
	nsMarkers  = "urn:xmpp:chat-markers:0"
	nsDelay    = "urn:xmpp:delay"
	nsStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

// filing bounds how long one report may hold up the stream.
const filing = 10 * time.Second

// read hears what the server passes on until the stream ends.
func (p *Provider) read(s *stream) {
	s.heard.Store(time.Now().UnixNano())
	for {
		e, err := s.in.next()
		if err != nil {
			s.end(broken(err))
			return
		}
		switch e.Name.Local {
		case "message":
			p.message(e)
		case "iq":
			p.query(s, e)
		case "error":
			if e.Name.Space == nsStream {
				s.end(p.streamError(e))
				return
			}
		}
	}
}

// message files a receipt or an error; anything else that people write to us
// has no reader.
func (p *Provider) message(e *element) {
	r := push.Receipt{Provider: name, Source: push.VendorCallback, ReceivedAt: time.Now().UTC()}
	switch received, displayed := e.child(nsReceipts, "received"), e.child(nsMarkers, "displayed"); {
	case e.attr("type") == "error":
		condition := conditionOf(e)
		refused := p.refusal(condition)
		r.Delivery, r.Stage = e.attr("id"), push.Failed
		r.Kind, r.Code, r.Detail = push.KindName(refused.Kind), refused.Code, refused.Detail
	case displayed != nil:
		r.Delivery, r.Stage, r.Source = displayed.attr("id"), push.Displayed, push.DeviceAck
	case received != nil:
		r.Delivery, r.Stage, r.Source = received.attr("id"), push.Delivered, push.DeviceAck
	default:
		return
	}
	notification, _, _, ok := push.ParseDeliveryID(r.Delivery)
	if !ok {
		return
	}
	// A stranger's word about somebody's message counts for nothing.
	if r.App, r.Device, ok = p.config.opened(e.attr("to"), e.attr("from"), r.Delivery); !ok {
		return
	}
	r.Notification, r.ProviderID, r.At = notification, r.Delivery, saidAt(e, r.ReceivedAt)
	report := p.report.Load()
	if report == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), filing)
	defer cancel()
	_ = (*report)(ctx, []push.Receipt{r}) // it cannot be had again; who keeps them counts what is lost
}

// saidAt is when it was said: a server that kept it meanwhile notes the time
// (XEP-0203).
func saidAt(e *element, now time.Time) time.Time {
	if delay := e.child(nsDelay, "delay"); delay != nil {
		if at, err := time.Parse(time.RFC3339, delay.attr("stamp")); err == nil && at.Before(now) {
			return at.UTC()
		}
	}
	return now
}

// conditionOf is an error stanza's condition, such as "item-not-found".
func conditionOf(e *element) string {
	if inner := e.child("", "error"); inner != nil {
		for _, c := range inner.children {
			if c.Name.Space == nsStanzas && c.Name.Local != "text" {
				return c.Name.Local
			}
		}
	}
	return "undefined-condition"
}

// query answers what is asked of the component: it is there, and that is all.
func (p *Provider) query(s *stream, e *element) {
	kind := e.attr("type")
	if kind != "get" && kind != "set" || strings.EqualFold(e.attr("from"), p.config.Domain) {
		return // an answer, or our own ping come round
	}
	answer := "error"
	if kind == "get" && e.child("urn:xmpp:ping", "ping") != nil {
		answer = "result"
	}
	var w writer
	w.open("iq", "type", answer, "id", e.attr("id"), "from", e.attr("to"), "to", e.attr("from"))
	if answer == "error" {
		w.raw(`<error type="cancel"><service-unavailable xmlns="` + nsStanzas + `"/></error>`)
	}
	w.raw("</iq>")
	s.mutter(w.Bytes())
}
