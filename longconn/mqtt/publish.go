package mqtt

import "strings"

// Publish carries one message.
type Publish struct {
	Topic      string
	Payload    []byte // aliases the input
	ID         uint16 // packet identifier; 0 with QoS 0
	QoS        byte
	Dup        bool
	Retain     bool
	Properties Properties
}

// DecodePublish reads a PUBLISH.
func DecodePublish(h Header, body []byte, version byte) (Publish, error) {
	p := Publish{QoS: h.Flags >> 1 & 3, Dup: h.Flags&8 != 0, Retain: h.Flags&1 != 0}
	if p.QoS == 3 {
		return p, malformed("QoS 3") // [MQTT-3.3.1-4]
	}
	if p.Dup && p.QoS == 0 {
		return p, malformed("DUP with QoS 0") // [MQTT-3.3.1-2]
	}
	r := reader{b: body}
	p.Topic = r.string()
	if p.QoS > 0 {
		p.ID = r.packetID()
	}
	if version == V5 {
		p.Properties = r.properties(publ)
	}
	if r.err != nil {
		return p, r.err
	}
	p.Payload = r.b
	if p.Topic == "" && version == V5 && p.Properties.Has(PropTopicAlias) {
		return p, nil // the alias names the topic; whether there are aliases is the session's affair
	}
	if !validTopic(p.Topic) {
		return p, &Fault{TopicInvalid, "topic name is empty or has wildcards"} // [MQTT-3.3.2-2]
	}
	return p, nil
}

// validTopic reports whether s can be a topic name: not empty, no wildcards.
func validTopic(s string) bool { return s != "" && !strings.ContainsAny(s, "+#") }

// AppendPublish appends a PUBLISH. 3.1.1 clients get no properties.
func AppendPublish(b []byte, version byte, p Publish) []byte {
	head := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup {
		head |= 8
	}
	if p.Retain {
		head |= 1
	}
	b = appendVarint(append(b, head), SizePublish(version, p))
	b = appendString(b, p.Topic)
	if p.QoS > 0 {
		b = append16(b, p.ID)
	}
	switch {
	case version != V5:
	case !p.Properties.plain():
		b = p.Properties.appendBlock(b, publ)
	case p.Properties.MessageExpiry != 0:
		b = append32(append(b, 5, byte(PropMessageExpiry)), p.Properties.MessageExpiry)
	default:
		b = append(b, 0)
	}
	return append(b, p.Payload...)
}

// SizePublish is the remaining length of the packet that [AppendPublish] would
// write: the whole packet takes at most 5 bytes more.
func SizePublish(version byte, p Publish) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	switch {
	case version != V5:
	case !p.Properties.plain():
		block := len(p.Properties.append(nil, publ))
		n += sizeVarint(block) + block
	case p.Properties.MessageExpiry != 0:
		n += 6
	default:
		n++
	}
	return n
}

// DecodeAck reads a PUBACK, PUBREC, PUBREL or PUBCOMP.
func DecodeAck(h Header, body []byte, version byte) (id uint16, reason Reason, err error) {
	r := reader{b: body}
	id = r.packetID()
	if version == V5 && len(r.b) > 0 {
		reason = Reason(r.byte())
		if len(r.b) > 0 {
			r.properties(1 << h.Type)
		}
	}
	return id, reason, r.end()
}

// AppendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP. The reason is left out
// for 3.1.1, which has none, and where it is [Success].
func AppendAck(b []byte, version byte, t Type, id uint16, reason Reason) []byte {
	head := byte(t)<<4 | fixedFlags[t]
	if version != V5 || reason == Success {
		return append16(append(b, head, 2), id)
	}
	return append(append16(append(b, head, 3), id), byte(reason))
}
