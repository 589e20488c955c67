package longconn

import (
	"slices"
	"strings"

	"github.com/herald-push/herald/longconn/mqtt"
)

// receiveMaximum is how many publications of a client may wait for the
// handler's Ack. MQTT 5 clients are told; 3.1.1 has no word for it, so there
// ten times as many are borne before the connection is closed.
const receiveMaximum = 64

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
		case p.Properties.Has(mqtt.PropSubscriptionID):
			return protocolError("subscription identifier from a client") // [MQTT-3.3.4-6]
		case p.Properties.Has(mqtt.PropTopicAlias):
			if p.Topic, err = e.x().topic(p.Topic, p.Properties.TopicAlias); err != nil {
				return err
			}
		}
	}
	if p.QoS > 0 {
		again, err := e.expectAnswer(p)
		if again || err != nil {
			return err
		}
	}
	e.emit(event{kind: evPublished, pub: &inbound{
		topic:      p.Topic,
		payload:    append([]byte(nil), p.Payload...),
		properties: ownProperties(&p.Properties),
		packet:     p.ID,
	}})
	return nil
}

// topic is the topic of a PUBLISH with an alias, which it gives a meaning if
// the topic is there too. Aliases end with the connection [MQTT-3.3.2-7].
func (x *extras) topic(topic string, alias uint16) (string, error) {
	if alias > topicAliases { // [MQTT-3.2.2-17]
		return "", &mqtt.Fault{Reason: mqtt.TopicAliasInvalid, Detail: "topic alias above the maximum"}
	}
	if x.in == nil {
		x.in = make([]string, topicAliases)
	}
	if topic != "" {
		x.in[alias-1] = topic
		return topic, nil
	}
	if x.in[alias-1] == "" {
		return "", protocolError("topic alias without a meaning")
	}
	return x.in[alias-1], nil
}

// expectAnswer files a PUBLISH to be acknowledged. again means that it is here
// already and its repetition must not reach the handler.
func (e *engine) expectAnswer(p mqtt.Publish) (again bool, err error) {
	s := e.s()
	if slices.Contains(s.released, p.ID) {
		if p.QoS != 2 {
			return false, &mqtt.Fault{Reason: mqtt.PacketIDInUse, Detail: "packet identifier in use"}
		}
		e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREC, p.ID, mqtt.Success)) // [MQTT-4.3.3-10]
		return true, nil
	}
	if slices.ContainsFunc(s.waiting, func(a answer) bool { return a.packet == p.ID }) {
		return true, nil
	}
	limit := receiveMaximum
	if e.version != mqtt.V5 {
		limit *= 10
	}
	if len(s.waiting)+len(s.released) >= limit {
		return false, &mqtt.Fault{Reason: mqtt.ReceiveMaximumExceeded, Detail: "too many publications at once"}
	}
	s.waiting = append(s.waiting, answer{packet: p.ID, qos: p.QoS})
	return false, nil
}

// ack records the handler's answer and sends those that are due.
func (e *engine) ack(packet uint16, reason mqtt.Reason) {
	if e.state != open || e.sess == nil {
		return
	}
	if reason == mqtt.QuotaExceeded && e.version != mqtt.V5 {
		e.close(Slow)
		return
	}
	s := e.sess
	for i := range s.waiting {
		if a := &s.waiting[i]; a.packet == packet {
			a.known, a.reason = true, reason
			break
		}
	}
	n := 0
	for _, a := range s.waiting {
		if !a.known {
			break
		}
		n++
		if a.qos == 1 {
			e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBACK, a.packet, a.reason))
			continue
		}
		e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBREC, a.packet, a.reason))
		if a.reason < mqtt.Unspecified || e.version != mqtt.V5 { // else it is a new one next time [MQTT-4.3.3-9]
			s.released = append(s.released, a.packet)
		}
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
	s.tidy()
}

// pubrel ends a publication of QoS 2.
func (e *engine) pubrel(h mqtt.Header, body []byte) error {
	id, _, err := mqtt.DecodeAck(h, body, e.version)
	if err != nil {
		return err
	}
	reason := mqtt.PacketIDNotFound
	if e.sess != nil {
		if i := slices.Index(e.sess.released, id); i >= 0 {
			reason = mqtt.Success
			e.sess.released = slices.Delete(e.sess.released, i, i+1)
			e.sess.tidy()
		}
	}
	e.write(mqtt.AppendAck(e.buffer(), e.version, mqtt.PUBCOMP, id, reason))
	return nil
}

// tidy gives the memory back once nothing of the client's is waiting.
func (s *session) tidy() {
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	if len(s.released) == 0 {
		s.released = nil
	}
}

func (e *engine) subscribe(body []byte) error {
	sub, err := mqtt.DecodeSubscribe(body, e.version)
	if err != nil {
		return err
	}
	reasons := make([]mqtt.Reason, len(sub.Filters))
	again := false
	for i, f := range sub.Filters {
		reasons[i] = e.grant(f)
		if f.Topic == e.srv.cfg.Inbox {
			s := e.s()
			s.grant, s.subID = byte(reasons[i]), sub.Properties.SubscriptionID // [MQTT-3.8.4-3]
			again = again || s.muted
			s.muted = false
		}
	}
	e.write(mqtt.AppendSuback(e.buffer(), e.version, sub.ID, reasons))
	if again {
		e.emit(event{kind: evReady})
	}
	return nil
}

// grant decides on one filter: a client has its inbox and its answers, and
// nothing else.
func (e *engine) grant(f mqtt.Filter) mqtt.Reason {
	wild := strings.ContainsAny(f.Topic, "+#")
	switch {
	case f.Topic == e.srv.cfg.Inbox:
		return mqtt.Reason(max(f.QoS, 1))
	case !wild && e.answers(f.Topic):
		return mqtt.Success // at QoS 0
	case e.version == mqtt.V5 && strings.HasPrefix(f.Topic, "$share/"):
		return mqtt.SharedNotSupported
	case wild:
		return mqtt.WildcardsNotSupported
	default:
		return mqtt.NotAuthorized
	}
}

// answers reports whether a topic is one that answers are told on.
func (e *engine) answers(topic string) bool {
	rest, ok := strings.CutPrefix(topic, e.srv.cfg.Answers)
	return ok && e.srv.cfg.Answers != "" && (rest == "" || rest[0] == '/')
}

func (e *engine) unsubscribe(body []byte) error {
	id, filters, err := mqtt.DecodeUnsubscribe(body, e.version)
	if err != nil {
		return err
	}
	reasons := make([]mqtt.Reason, len(filters))
	for i, f := range filters {
		reasons[i] = mqtt.NoSubscriptionExisted
		if f == e.srv.cfg.Inbox && !e.s().muted {
			e.mute()
			reasons[i] = mqtt.Success
		}
	}
	e.write(mqtt.AppendUnsuback(e.buffer(), e.version, id, reasons))
	return nil
}

// mute ends the inbox's subscription. What waits is no longer sent; what was
// sent runs its course [MQTT-3.10.4-2] [MQTT-3.10.4-3].
func (e *engine) mute() {
	e.abandon()
	e.sess.muted, e.sess.subID, e.sess.grant = true, 0, 1
}
