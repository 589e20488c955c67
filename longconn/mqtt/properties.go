package mqtt

// Property identifies one property of MQTT 5: section 2.2.2.2.
type Property byte

// The properties of MQTT 5.
const (
	PropPayloadFormat     Property = 0x01
	PropMessageExpiry     Property = 0x02
	PropContentType       Property = 0x03
	PropResponseTopic     Property = 0x08
	PropCorrelationData   Property = 0x09
	PropSubscriptionID    Property = 0x0B
	PropSessionExpiry     Property = 0x11
	PropAssignedClientID  Property = 0x12
	PropServerKeepAlive   Property = 0x13
	PropAuthMethod        Property = 0x15
	PropAuthData          Property = 0x16
	PropRequestProblem    Property = 0x17
	PropWillDelay         Property = 0x18
	PropRequestResponse   Property = 0x19
	PropResponseInfo      Property = 0x1A
	PropServerReference   Property = 0x1C
	PropReasonString      Property = 0x1F
	PropReceiveMaximum    Property = 0x21
	PropTopicAliasMaximum Property = 0x22
	PropTopicAlias        Property = 0x23
	PropMaximumQoS        Property = 0x24
	PropRetainAvailable   Property = 0x25
	PropUser              Property = 0x26
	PropMaximumPacketSize Property = 0x27
	PropWildcardAvailable Property = 0x28
	PropSubIDAvailable    Property = 0x29
	PropSharedAvailable   Property = 0x2A
)

// shape is how a property's value is written.
type shape byte

const (
	noShape shape = iota
	aFlag         // one byte, 0 or 1
	aShort        // two bytes
	anInt         // four bytes
	aVarint
	aString
	aBinary
	aPair // two strings
)

// in lists packet types as bits; will stands for the will's own properties
// inside CONNECT, in the bit that no packet type uses.
type in uint32

const (
	will in = 1 << 0
	conn in = 1 << CONNECT
	cack in = 1 << CONNACK
	publ in = 1 << PUBLISH
	acks in = 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBACK | 1<<UNSUBACK
	subs in = 1 << SUBSCRIBE
	unsu in = 1 << UNSUBSCRIBE
	disc in = 1 << DISCONNECT
	auth in = 1 << AUTH
)

// catalogue says of each property how it is written and where it may stand:
// table 2-4 of the specification.
var catalogue = [43]struct {
	shape shape
	in    in
}{
	PropPayloadFormat:     {aFlag, publ | will},
	PropMessageExpiry:     {anInt, publ | will},
	PropContentType:       {aString, publ | will},
	PropResponseTopic:     {aString, publ | will},
	PropCorrelationData:   {aBinary, publ | will},
	PropSubscriptionID:    {aVarint, publ | subs},
	PropSessionExpiry:     {anInt, conn | cack | disc},
	PropAssignedClientID:  {aString, cack},
	PropServerKeepAlive:   {aShort, cack},
	PropAuthMethod:        {aString, conn | cack | auth},
	PropAuthData:          {aBinary, conn | cack | auth},
	PropRequestProblem:    {aFlag, conn},
	PropWillDelay:         {anInt, will},
	PropRequestResponse:   {aFlag, conn},
	PropResponseInfo:      {aString, cack},
	PropServerReference:   {aString, cack | disc},
	PropReasonString:      {aString, cack | acks | disc | auth},
	PropReceiveMaximum:    {aShort, conn | cack},
	PropTopicAliasMaximum: {aShort, conn | cack},
	PropTopicAlias:        {aShort, publ},
	PropMaximumQoS:        {aFlag, cack},
	PropRetainAvailable:   {aFlag, cack},
	PropUser:              {aPair, conn | will | cack | publ | acks | subs | unsu | disc | auth},
	PropMaximumPacketSize: {anInt, conn | cack},
	PropWildcardAvailable: {aFlag, cack},
	PropSubIDAvailable:    {aFlag, cack},
	PropSharedAvailable:   {aFlag, cack},
}

// Pair is a user property: a name and a value, both the sender's own affair.
type Pair struct{ Name, Value string }

// Properties are those that this server or its clients act on; the others are
// checked and passed over. A number is 0 and a text empty if [Properties.Has]
// is false. Written are those that are not zero.
type Properties struct {
	has uint64

	SessionExpiry     uint32 // seconds
	MessageExpiry     uint32 // seconds
	WillDelay         uint32 // seconds
	MaximumPacketSize uint32
	SubscriptionID    uint32
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	TopicAlias        uint16
	ServerKeepAlive   uint16 // seconds
	PayloadFormat     byte   // 1: the payload is UTF-8
	RequestProblem    byte   // absent means 1: see Has
	RequestResponse   byte
	AssignedClientID  string
	AuthMethod        string
	ReasonString      string
	ServerReference   string
	ContentType       string
	ResponseTopic     string
	Correlation       []byte // aliases the input
	AuthData          []byte // aliases the input
	User              []Pair // in order
}

// Has reports whether the property was there.
func (p *Properties) Has(id Property) bool { return p.has&(1<<id) != 0 }

// Any reports whether there were properties at all.
func (p *Properties) Any() bool { return p.has != 0 }

// properties reads a block of properties that stands in a packet of kind where.
func (r *reader) properties(where in) (p Properties) {
	block := reader{b: r.take(int(r.varint()))}
	for len(block.b) > 0 {
		block.property(where, &p)
	}
	if block.err != nil {
		r.fail(block.err)
	}
	return p
}

func (r *reader) property(where in, p *Properties) {
	id := Property(r.varint())
	if r.err != nil {
		return
	}
	if int(id) >= len(catalogue) || catalogue[id].in&where == 0 {
		r.fail(malformed("property not allowed here"))
		return
	}
	mayRepeat := id == PropUser || id == PropSubscriptionID && where == publ
	if p.Has(id) && !mayRepeat {
		r.fail(violation("property given twice"))
		return
	}
	p.has |= 1 << id
	var number uint32
	var text string
	var data []byte
	switch catalogue[id].shape {
	case aFlag:
		if number = uint32(r.byte()); number > 1 {
			r.fail(violation("property is neither 0 nor 1"))
		}
	case aShort:
		number = uint32(r.uint16())
	case anInt:
		number = r.uint32()
	case aVarint:
		number = r.varint()
	case aString:
		text = r.string()
	case aBinary:
		data = r.binary()
	case aPair:
		p.User = append(p.User, Pair{r.string(), r.string()})
	case noShape:
	}
	if r.err == nil {
		r.check(id, number, text)
		p.keep(id, number, text, data)
	}
}

// check refuses the values that the specification forbids.
func (r *reader) check(id Property, number uint32, text string) {
	switch id {
	case PropReceiveMaximum, PropMaximumPacketSize, PropSubscriptionID:
		if number == 0 {
			r.fail(violation("property must not be 0"))
		}
	case PropTopicAlias:
		if number == 0 {
			r.fail(&Fault{TopicAliasInvalid, "topic alias 0"}) // [MQTT-3.3.2-8]
		}
	case PropResponseTopic:
		if !validTopic(text) {
			r.fail(violation("response topic is empty or has wildcards")) // [MQTT-3.3.2-14]
		}
	default: // any value
	}
}

// keep files a value.
func (p *Properties) keep(id Property, number uint32, text string, data []byte) {
	switch id {
	case PropSessionExpiry:
		p.SessionExpiry = number
	case PropMessageExpiry:
		p.MessageExpiry = number
	case PropWillDelay:
		p.WillDelay = number
	case PropMaximumPacketSize:
		p.MaximumPacketSize = number
	case PropSubscriptionID:
		p.SubscriptionID = number
	case PropReceiveMaximum:
		p.ReceiveMaximum = uint16(number)
	case PropTopicAliasMaximum:
		p.TopicAliasMaximum = uint16(number)
	case PropTopicAlias:
		p.TopicAlias = uint16(number)
	case PropServerKeepAlive:
		p.ServerKeepAlive = uint16(number)
	case PropPayloadFormat:
		p.PayloadFormat = byte(number)
	case PropRequestProblem:
		p.RequestProblem = byte(number)
	case PropRequestResponse:
		p.RequestResponse = byte(number)
	case PropAssignedClientID:
		p.AssignedClientID = text
	case PropAuthMethod:
		p.AuthMethod = text
	case PropReasonString:
		p.ReasonString = text
	case PropServerReference:
		p.ServerReference = text
	case PropContentType:
		p.ContentType = text
	case PropResponseTopic:
		p.ResponseTopic = text
	case PropCorrelationData:
		p.Correlation = data
	case PropAuthData:
		p.AuthData = data
	default: // checked; nobody here acts on it
	}
}

// append writes the properties that are not zero and may stand in a packet of
// kind where, without the length of the block.
func (p *Properties) append(b []byte, where in) []byte {
	number := func(id Property, v uint32) {
		if v == 0 || catalogue[id].in&where == 0 {
			return
		}
		b = append(b, byte(id))
		switch catalogue[id].shape {
		case aFlag:
			b = append(b, byte(v))
		case aShort:
			b = append16(b, uint16(v))
		case aVarint:
			b = appendVarint(b, int(v))
		default:
			b = append32(b, v)
		}
	}
	text := func(id Property, s string) {
		if s != "" && catalogue[id].in&where != 0 {
			b = appendString(append(b, byte(id)), s)
		}
	}
	data := func(id Property, d []byte) {
		if d != nil && catalogue[id].in&where != 0 {
			b = appendString(append(b, byte(id)), d)
		}
	}
	number(PropSessionExpiry, p.SessionExpiry)
	number(PropMessageExpiry, p.MessageExpiry)
	number(PropWillDelay, p.WillDelay)
	number(PropMaximumPacketSize, p.MaximumPacketSize)
	number(PropSubscriptionID, p.SubscriptionID)
	number(PropReceiveMaximum, uint32(p.ReceiveMaximum))
	number(PropTopicAliasMaximum, uint32(p.TopicAliasMaximum))
	number(PropTopicAlias, uint32(p.TopicAlias))
	number(PropServerKeepAlive, uint32(p.ServerKeepAlive))
	number(PropPayloadFormat, uint32(p.PayloadFormat))
	number(PropRequestResponse, uint32(p.RequestResponse))
	text(PropAssignedClientID, p.AssignedClientID)
	text(PropAuthMethod, p.AuthMethod)
	text(PropReasonString, p.ReasonString)
	text(PropServerReference, p.ServerReference)
	text(PropContentType, p.ContentType)
	text(PropResponseTopic, p.ResponseTopic)
	data(PropCorrelationData, p.Correlation)
	data(PropAuthData, p.AuthData)
	for _, pair := range p.User {
		b = appendString(appendString(append(b, byte(PropUser)), pair.Name), pair.Value)
	}
	return b
}

// appendBlock writes the properties with the length of the block before them.
func (p *Properties) appendBlock(b []byte, where in) []byte {
	block := p.append(nil, where)
	return append(appendVarint(b, len(block)), block...)
}

// plain reports that a PUBLISH has no property but the expiry, which is what
// nearly all have; they are written without a detour.
func (p *Properties) plain() bool {
	return p.TopicAlias == 0 && p.PayloadFormat == 0 && p.SubscriptionID == 0 && p.ContentType == "" &&
		p.ResponseTopic == "" && p.Correlation == nil && p.User == nil
}
