package mqtt

// Connect is a client's first packet.
type Connect struct {
	Version    byte // V311 or V5
	Clean      bool
	KeepAlive  uint16 // seconds; 0 means none
	ClientID   string
	Will       *Will
	Username   string
	Password   []byte // aliases the input
	HasUser    bool
	HasPass    bool
	Properties Properties
}

// Will is the message that a broker would publish should the client vanish.
type Will struct {
	Topic      string
	Payload    []byte // aliases the input
	QoS        byte
	Retain     bool
	Properties Properties
}

// CONNECT's flags: section 3.1.2.3.
const (
	flagReserved   = 1 << 0
	flagClean      = 1 << 1
	flagWill       = 1 << 2
	flagWillQoS    = 3 << 3
	flagWillRetain = 1 << 5
	flagPassword   = 1 << 6
	flagUser       = 1 << 7
)

// DecodeConnect reads a CONNECT. A protocol level other than 4 and 5 is a Fault
// with [UnsupportedVersion]; the returned packet's Version then tells the level
// that was asked for, so that the answer can be given in a form it may know.
func DecodeConnect(body []byte) (Connect, error) {
	var c Connect
	r := reader{b: body}
	name := r.string()
	c.Version = r.byte()
	if r.err != nil {
		return c, r.err
	}
	if name != "MQTT" || (c.Version != V311 && c.Version != V5) {
		return c, &Fault{UnsupportedVersion, "protocol is neither MQTT 3.1.1 nor MQTT 5"}
	}
	flags := r.byte()
	c.KeepAlive = r.uint16()
	if r.err != nil {
		return c, r.err
	}
	if err := checkFlags(flags, c.Version); err != nil {
		return c, err
	}
	c.Clean = flags&flagClean != 0
	if c.Version == V5 {
		c.Properties = r.properties(conn)
	}
	c.ClientID = r.string()
	if flags&flagWill != 0 {
		c.Will = r.will(flags, c.Version)
	}
	if c.HasUser = flags&flagUser != 0; c.HasUser {
		c.Username = r.string()
	}
	if c.HasPass = flags&flagPassword != 0; c.HasPass {
		c.Password = r.binary()
	}
	return c, r.end()
}

func checkFlags(flags, version byte) error {
	qos := flags & flagWillQoS >> 3
	switch {
	case flags&flagReserved != 0:
		return malformed("reserved CONNECT flag") // [MQTT-3.1.2-3]
	case qos == 3:
		return malformed("will QoS 3") // [MQTT-3.1.2-12]
	case flags&flagWill == 0 && flags&(flagWillQoS|flagWillRetain) != 0:
		return malformed("will flags without a will") // [MQTT-3.1.2-11]
	case version == V311 && flags&flagPassword != 0 && flags&flagUser == 0:
		return malformed("password without user name") // 3.1.1 [MQTT-3.1.2-22]
	}
	return nil
}

func (r *reader) will(flags, version byte) *Will {
	w := &Will{QoS: flags & flagWillQoS >> 3, Retain: flags&flagWillRetain != 0}
	if version == V5 {
		w.Properties = r.properties(will)
	}
	w.Topic = r.string()
	w.Payload = r.binary()
	if r.err == nil && !validTopic(w.Topic) {
		r.fail(&Fault{TopicInvalid, "will topic"})
	}
	return w
}

// AppendConnect appends the packet that a client opens with.
func AppendConnect(b []byte, c Connect) []byte {
	var flags byte
	if c.Clean {
		flags |= flagClean
	}
	p := appendString(nil, "MQTT")
	if c.Will != nil {
		flags |= flagWill | c.Will.QoS<<3
		if c.Will.Retain {
			flags |= flagWillRetain
		}
	}
	if c.HasUser {
		flags |= flagUser
	}
	if c.HasPass {
		flags |= flagPassword
	}
	p = append16(append(p, c.Version, flags), c.KeepAlive)
	if c.Version == V5 {
		p = c.Properties.appendBlock(p, conn)
	}
	p = appendString(p, c.ClientID)
	if c.Will != nil {
		if c.Version == V5 {
			p = c.Will.Properties.appendBlock(p, will)
		}
		p = appendString(appendString(p, c.Will.Topic), c.Will.Payload)
	}
	if c.HasUser {
		p = appendString(p, c.Username)
	}
	if c.HasPass {
		p = appendString(p, c.Password)
	}
	return append(appendVarint(append(b, byte(CONNECT)<<4), len(p)), p...)
}

// Connack is the server's answer to CONNECT. Everything after Reason is only
// for MQTT 5; session and limits are only written with [Success].
type Connack struct {
	Reason         Reason
	SessionPresent bool
	SessionExpiry  *uint32 // what the server makes of the client's wish
	Properties     Properties
}

// AppendConnack appends the answer in the form of the given version. To an
// MQTT 5 client it declares what this server does not do: retained messages,
// wildcards and shared subscriptions.
func AppendConnack(b []byte, version byte, c Connack) []byte {
	var present byte
	if c.SessionPresent && c.Reason == Success {
		present = 1
	}
	if version != V5 {
		return append(b, byte(CONNACK)<<4, 2, present, returnCode(c.Reason))
	}
	var props []byte
	if c.Reason == Success {
		props = []byte{byte(PropRetainAvailable), 0, byte(PropWildcardAvailable), 0, byte(PropSharedAvailable), 0}
		if c.SessionExpiry != nil {
			props = append32(append(props, byte(PropSessionExpiry)), *c.SessionExpiry)
		}
	}
	props = c.Properties.append(props, cack)
	b = appendVarint(append(b, byte(CONNACK)<<4), 2+sizeVarint(len(props))+len(props))
	b = append(b, present, byte(c.Reason))
	return append(appendVarint(b, len(props)), props...)
}

// returnCode translates a reason to a CONNACK return code of 3.1.1: table 3.1.
func returnCode(r Reason) byte {
	switch r {
	case Success:
		return 0
	case UnsupportedVersion:
		return 1
	case BadClientID:
		return 2
	case BadCredentials:
		return 4
	case NotAuthorized:
		return 5
	default:
		return 3 // server unavailable
	}
}

// DecodeConnack reads a CONNACK as a client does. From 3.1.1 the Reason is the
// return code as it stands, 0 to 5.
func DecodeConnack(body []byte, version byte) (reason Reason, sessionPresent bool, p Properties, err error) {
	r := reader{b: body}
	flags := r.byte()
	if flags > 1 {
		r.fail(malformed("reserved CONNACK flags"))
	}
	reason = Reason(r.byte())
	if version == V5 {
		p = r.properties(cack)
	}
	return reason, flags == 1, p, r.end()
}
