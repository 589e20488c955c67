package mqtt

import "strings"

// Filter is one entry of a SUBSCRIBE.
type Filter struct {
	Topic string
	QoS   byte
	// The other options of MQTT 5 are checked and passed over: they concern
	// retained messages and one's own, of which a device gets none.
}

// Subscribe asks for topics.
type Subscribe struct {
	ID         uint16
	Filters    []Filter
	Properties Properties
}

// DecodeSubscribe reads a SUBSCRIBE.
func DecodeSubscribe(body []byte, version byte) (Subscribe, error) {
	r := reader{b: body}
	s := Subscribe{ID: r.packetID()}
	if version == V5 {
		s.Properties = r.properties(subs)
	}
	for r.err == nil && (len(r.b) > 0 || len(s.Filters) == 0) {
		f := Filter{Topic: r.string()}
		options := r.byte()
		f.QoS = options & 3
		if r.err == nil {
			r.checkFilter(f.Topic, options, version)
		}
		s.Filters = append(s.Filters, f)
	}
	return s, r.end()
}

func (r *reader) checkFilter(filter string, options, version byte) {
	reserved := byte(0xFC)
	if version == V5 {
		reserved = 0xC0
	}
	switch {
	case !validFilter(filter):
		r.fail(malformed("topic filter")) // [MQTT-4.7.1-1] [MQTT-4.7.3-1]
	case options&3 == 3, options&reserved != 0, options>>4&3 == 3:
		r.fail(malformed("subscription options")) // [MQTT-3.8.3-5]
	case version == V5 && strings.HasPrefix(filter, "$share/"):
		if options&4 != 0 {
			r.fail(violation("no local on a shared subscription")) // [MQTT-3.8.3-4]
		}
		name, topic, _ := strings.Cut(filter[len("$share/"):], "/")
		if name == "" || topic == "" || strings.ContainsAny(name, "+#") {
			r.fail(malformed("shared subscription")) // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
		}
	}
}

// validFilter checks that wildcards stand alone in their level, "#" only last.
func validFilter(s string) bool {
	if s == "" {
		return false
	}
	for {
		level, rest, more := strings.Cut(s, "/")
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && more {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

// DecodeUnsubscribe reads an UNSUBSCRIBE.
func DecodeUnsubscribe(body []byte, version byte) (id uint16, filters []string, err error) {
	r := reader{b: body}
	id = r.packetID()
	if version == V5 {
		r.properties(unsu)
	}
	for r.err == nil && (len(r.b) > 0 || len(filters) == 0) {
		f := r.string()
		if r.err == nil && !validFilter(f) {
			r.fail(malformed("topic filter"))
		}
		filters = append(filters, f)
	}
	return id, filters, r.end()
}

// AppendSubscribe appends a SUBSCRIBE as a client sends it.
func AppendSubscribe(b []byte, version byte, s Subscribe) []byte {
	p := append16(nil, s.ID)
	if version == V5 {
		p = s.Properties.appendBlock(p, subs)
	}
	for _, f := range s.Filters {
		p = append(appendString(p, f.Topic), f.QoS)
	}
	return append(appendVarint(append(b, byte(SUBSCRIBE)<<4|2), len(p)), p...)
}

// AppendUnsubscribe appends an UNSUBSCRIBE as a client sends it.
func AppendUnsubscribe(b []byte, version byte, id uint16, filters ...string) []byte {
	p := append16(nil, id)
	if version == V5 {
		p = append(p, 0)
	}
	for _, f := range filters {
		p = appendString(p, f)
	}
	return append(appendVarint(append(b, byte(UNSUBSCRIBE)<<4|2), len(p)), p...)
}

// AppendSuback appends the answer to a SUBSCRIBE: one reason per filter, which
// 3.1.1 knows only as a granted QoS or 0x80.
func AppendSuback(b []byte, version byte, id uint16, reasons []Reason) []byte {
	b = appendAnswer(b, SUBACK, version, id, len(reasons))
	for _, reason := range reasons {
		if version != V5 && reason >= Unspecified {
			reason = Unspecified
		}
		b = append(b, byte(reason))
	}
	return b
}

// AppendUnsuback appends the answer to an UNSUBSCRIBE; 3.1.1 has no reasons.
func AppendUnsuback(b []byte, version byte, id uint16, reasons []Reason) []byte {
	if version != V5 {
		return appendAnswer(b, UNSUBACK, version, id, 0)
	}
	b = appendAnswer(b, UNSUBACK, version, id, len(reasons))
	for _, reason := range reasons {
		b = append(b, byte(reason))
	}
	return b
}

// appendAnswer opens a packet of an id, no properties, and n more bytes.
func appendAnswer(b []byte, t Type, version byte, id uint16, n int) []byte {
	if version != V5 {
		return append16(appendVarint(append(b, byte(t)<<4), 2+n), id)
	}
	return append(append16(appendVarint(append(b, byte(t)<<4), 3+n), id), 0)
}

// DecodeDisconnect reads a DISCONNECT; 3.1.1 has no reason.
func DecodeDisconnect(body []byte, version byte) (Reason, Properties, error) {
	r := reader{b: body}
	var reason Reason
	var p Properties
	if version == V5 && len(r.b) > 0 {
		reason = Reason(r.byte())
		if len(r.b) > 0 {
			p = r.properties(disc)
		}
	}
	return reason, p, r.end()
}

// AppendDisconnect appends a server's DISCONNECT to an MQTT 5 client. A 3.1.1
// server has no such packet: nothing is appended, closing is all it can say.
func AppendDisconnect(b []byte, version byte, reason Reason, p Properties) []byte {
	if version != V5 {
		return b
	}
	block := p.append(nil, disc)
	if len(block) == 0 {
		return append(b, byte(DISCONNECT)<<4, 1, byte(reason))
	}
	b = appendVarint(append(b, byte(DISCONNECT)<<4), 1+sizeVarint(len(block))+len(block))
	return append(appendVarint(append(b, byte(reason)), len(block)), block...)
}

// DecodeAuth reads an AUTH, which only MQTT 5 has.
func DecodeAuth(body []byte) (Reason, Properties, error) {
	r := reader{b: body}
	var reason Reason
	var p Properties
	if len(r.b) > 0 {
		reason = Reason(r.byte())
		if len(r.b) > 0 {
			p = r.properties(auth)
		}
	}
	switch reason {
	case Success, ContinueAuth, Reauthenticate:
	default:
		r.fail(malformed("reason of AUTH")) // [MQTT-3.15.2-1]
	}
	return reason, p, r.end()
}

// AppendAuth appends an AUTH.
func AppendAuth(b []byte, reason Reason, p Properties) []byte {
	block := p.append(nil, auth)
	b = appendVarint(append(b, byte(AUTH)<<4), 1+sizeVarint(len(block))+len(block))
	return append(appendVarint(append(b, byte(reason)), len(block)), block...)
}

// AppendPing appends a PINGREQ or PINGRESP.
func AppendPing(b []byte, t Type) []byte { return append(b, byte(t)<<4, 0) }
