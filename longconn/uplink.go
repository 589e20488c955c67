package longconn

import (
	"slices"

	"github.com/herald-push/herald/longconn/mqtt"
)

// receiveMaximum is how many publications of a client may wait for the
// handler's Ack. MQTT 5 clients are told; 3.1.1 has no word for it, so there
// ten times as many are borne before the connection is closed.
const receiveMaximum = 64

// uplink is what the client published and was not answered yet.
type uplink struct {
	// waiting is in order of arrival, as the answers must be [MQTT-4.6.0-2].
	waiting []answer
	// released are QoS 2 packets taken and acknowledged with PUBREC, whose
	// PUBREL has not come.
	released []uint16
}

// answer is what a PUBLISH is to be answered with, once known.
type answer struct {
	packet uint16
	qos    byte
	known  bool
	reason mqtt.Reason
}

func (e *engine) publish(h mqtt.Header, body []byte) error {
	p, err := mqtt.DecodePublish(h, body, e.version)
	if err != nil {
		return err
	}
	if e.version == mqtt.V5 {
		switch {
		case p.Retain:
			return &mqtt.Fault{Reason: mqtt.RetainNotSupported, Detail: "retain"}
		case p.Properties.Has(mqtt.PropTopicAlias):
			return &mqtt.Fault{Reason: mqtt.TopicAliasInvalid, Detail: "topic alias above the maximum of 0"}
		case p.Properties.Has(mqtt.PropSubscriptionID):
			return protocolError("subscription identifier from a client") // [MQTT-3.3.4-6]
		}
	}
	if p.QoS > 0 {
		again, err := e.expectAnswer(p)
		if again || err != nil {
			return err
		}
	}
	e.events = append(e.events, event{kind: evPublished, pub: &inbound{
		topic:   p.Topic,
		payload: append([]byte(nil), p.Payload...),
		packet:  p.ID,
	}})
	return nil
}

// expectAnswer files a PUBLISH to be acknowledged. again means that it is here
// already and its repetition must not reach the handler.
func (e *engine) expectAnswer(p mqtt.Publish) (again bool, err error) {
	if e.up == nil {
		e.up = &uplink{}
	}
	if p.QoS == 2 && slices.Contains(e.up.released, p.ID) {
		e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREC, p.ID, mqtt.Success))
		return true, nil
	}
	if slices.ContainsFunc(e.up.waiting, func(a answer) bool { return a.packet == p.ID }) {
		return true, nil
	}
	limit := receiveMaximum
	if e.version != mqtt.V5 {
		limit *= 10
	}
	if len(e.up.waiting)+len(e.up.released) >= limit {
		return false, &mqtt.Fault{Reason: mqtt.ReceiveMaximumExceeded, Detail: "too many publications at once"}
	}
	e.up.waiting = append(e.up.waiting, answer{packet: p.ID, qos: p.QoS})
	return false, nil
}

// ack records the handler's answer and sends those that are due.
func (e *engine) ack(packet uint16, reason mqtt.Reason) {
	if e.state != open || e.up == nil {
		return
	}
	if reason == mqtt.QuotaExceeded && e.version != mqtt.V5 {
		e.close(Slow)
		return
	}
	for i := range e.up.waiting {
		if a := &e.up.waiting[i]; a.packet == packet {
			a.known, a.reason = true, reason
			break
		}
	}
	n := 0
	for _, a := range e.up.waiting {
		if !a.known {
			break
		}
		n++
		if a.qos == 1 {
			e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBACK, a.packet, a.reason))
			continue
		}
		e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREC, a.packet, a.reason))
		if a.reason < mqtt.Unspecified || e.version != mqtt.V5 {
			e.up.released = append(e.up.released, a.packet)
		}
	}
	e.up.waiting = slices.Delete(e.up.waiting, 0, n)
	e.up.tidy(e)
}

// pubrel ends a publication of QoS 2.
func (e *engine) pubrel(h mqtt.Header, body []byte) error {
	id, _, err := mqtt.DecodeAck(h, body, e.version)
	if err != nil {
		return err
	}
	reason := mqtt.PacketIDNotFound
	if e.up != nil {
		if i := slices.Index(e.up.released, id); i >= 0 {
			reason = mqtt.Success
			e.up.released = slices.Delete(e.up.released, i, i+1)
			e.up.tidy(e)
		}
	}
	e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBCOMP, id, reason))
	return nil
}

// tidy gives the memory back once nothing is waiting.
func (u *uplink) tidy(e *engine) {
	if len(u.waiting)+len(u.released) == 0 {
		e.up = nil
	}
}

func (e *engine) subscribe(body []byte) error {
	s, err := mqtt.DecodeSubscribe(body, e.version)
	if err != nil {
		return err
	}
	if s.Properties.Has(mqtt.PropSubscriptionID) {
		return &mqtt.Fault{Reason: mqtt.SubIDNotSupported, Detail: "subscription identifier"}
	}
	reasons := make([]mqtt.Reason, len(s.Filters))
	for i, f := range s.Filters {
		reasons[i] = e.grant(f.Topic)
	}
	e.write(mqtt.AppendSuback(e.buffer(), e.version, s.ID, reasons))
	if e.muted && slices.Contains(reasons, mqtt.GrantedQoS1) {
		e.muted = false
		e.events = append(e.events, event{kind: evReady})
	}
	return nil
}

// grant decides on one filter: a client has its inbox and nothing else.
func (e *engine) grant(filter string) mqtt.Reason {
	switch {
	case filter == e.cfg.Inbox:
		return mqtt.GrantedQoS1
	case len(filter) > 7 && filter[:7] == "$share/":
		return mqtt.SharedNotSupported
	case slices.ContainsFunc([]byte(filter), func(b byte) bool { return b == '+' || b == '#' }):
		return mqtt.WildcardsNotSupported
	default:
		return mqtt.NotAuthorized
	}
}

func (e *engine) unsubscribe(body []byte) error {
	id, filters, err := mqtt.DecodeUnsubscribe(body, e.version)
	if err != nil {
		return err
	}
	reasons := make([]mqtt.Reason, len(filters))
	for i, f := range filters {
		reasons[i] = mqtt.NoSubscriptionExisted
		if f == e.cfg.Inbox && !e.muted {
			e.muted, reasons[i] = true, mqtt.Success
		}
	}
	e.write(mqtt.AppendUnsuback(e.buffer(), e.version, id, reasons))
	return nil
}
