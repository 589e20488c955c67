package pdu

// Version is SMPP 3.4, as interface_version has it.
const Version = 0x34

// Bind is the body of bind_transceiver (section 4.1.5).
type Bind struct {
	SystemID   string
	Password   string
	SystemType string
	Version    byte
}

// The lengths of names with their zero. The specification ends a password at 9
// octets; services hand out longer ones all the same.
const (
	systemIDSize   = 16
	passwordSize   = 65
	systemTypeSize = 13
	rangeSize      = 41
	messageIDSize  = 65
	numberSize     = 21
	serviceSize    = 6
	timeSize       = 17
)

// Body writes the body.
func (m *Bind) Body() ([]byte, error) {
	var w writer
	w.text("system_id", m.SystemID, systemIDSize)
	w.text("password", m.Password, passwordSize)
	w.text("system_type", m.SystemType, systemTypeSize)
	w.octets(m.Version, 0, 0) // no numbers of our own
	w.text("address_range", "", rangeSize)
	return w.body()
}

// ParseBind reads the body.
func ParseBind(body []byte) (Bind, error) {
	r := reader{rest: body}
	m := Bind{
		SystemID:   r.text("system_id", systemIDSize),
		Password:   r.text("password", passwordSize),
		SystemType: r.text("system_type", systemTypeSize),
		Version:    r.octet("interface_version"),
	}
	r.octets("addr_ton and addr_npi", 2)
	r.text("address_range", rangeSize)
	return m, r.err
}

// Answer is the body of bind_transceiver_resp and of submit_sm_resp (sections
// 4.1.6 and 4.4.2): a name, which is absent where the status is a failure.
type Answer struct {
	ID   string // system_id or message_id
	TLVs []TLV
}

// Body writes the body.
func (m *Answer) Body() ([]byte, error) {
	var w writer
	w.text("message_id", m.ID, messageIDSize)
	w.options(m.TLVs)
	return w.body()
}

// ParseAnswer reads the body. An empty one is an empty name.
func ParseAnswer(body []byte) (Answer, error) {
	if len(body) == 0 {
		return Answer{}, nil
	}
	r := reader{rest: body}
	m := Answer{ID: r.text("message_id", messageIDSize)}
	m.TLVs = r.options()
	return m, r.err
}

// Address is a number with its type and numbering plan (section 5.2.5).
type Address struct {
	TON, NPI byte
	Number   string
}

// Bits of esm_class (section 5.2.12).
const (
	HasHeader  = 0x40 // the text begins with a user data header
	typeMask   = 0x3c
	receiptBit = 0x04
)

// MaxText is the longest text of a message, header included.
const MaxText = 254

// Message is the body of submit_sm and deliver_sm (sections 4.4.1 and 4.6.1).
type Message struct {
	ServiceType  string
	Source, Dest Address
	ESMClass     byte
	ProtocolID   byte
	Priority     byte
	Schedule     string // empty, or a time of section 7.1.1
	Validity     string
	Registered   byte // 1 asks for a receipt of the outcome
	Replace      byte
	DataCoding   byte
	DefaultID    byte
	Text         []byte // at most MaxText
	TLVs         []TLV
}

// IsReceipt reports whether the message tells what came of another.
func (m *Message) IsReceipt() bool { return m.ESMClass&typeMask == receiptBit }

// Body writes the body.
func (m *Message) Body() ([]byte, error) {
	if len(m.Text) > MaxText {
		return nil, malformed("a text of %d octets", len(m.Text))
	}
	w := writer{b: make([]byte, 0, 96+len(m.Text))}
	w.text("service_type", m.ServiceType, serviceSize)
	w.octets(m.Source.TON, m.Source.NPI)
	w.text("source_addr", m.Source.Number, numberSize)
	w.octets(m.Dest.TON, m.Dest.NPI)
	w.text("destination_addr", m.Dest.Number, numberSize)
	w.octets(m.ESMClass, m.ProtocolID, m.Priority)
	w.text("schedule_delivery_time", m.Schedule, timeSize)
	w.text("validity_period", m.Validity, timeSize)
	w.octets(m.Registered, m.Replace, m.DataCoding, m.DefaultID, byte(len(m.Text)))
	w.octets(m.Text...)
	w.options(m.TLVs)
	return w.body()
}

// ParseMessage reads the body. The texts in it are parts of body.
func ParseMessage(body []byte) (Message, error) {
	r := reader{rest: body}
	m := Message{
		ServiceType: r.text("service_type", serviceSize),
		Source:      r.address("source_addr"),
		Dest:        r.address("destination_addr"),
		ESMClass:    r.octet("esm_class"),
		ProtocolID:  r.octet("protocol_id"),
		Priority:    r.octet("priority_flag"),
		Schedule:    r.text("schedule_delivery_time", timeSize),
		Validity:    r.text("validity_period", timeSize),
		Registered:  r.octet("registered_delivery"),
		Replace:     r.octet("replace_if_present_flag"),
		DataCoding:  r.octet("data_coding"),
		DefaultID:   r.octet("sm_default_msg_id"),
	}
	n := r.octet("sm_length")
	if r.err == nil && n > MaxText {
		r.fail("sm_length", "is too large")
	}
	m.Text = r.octets("short_message", int(n))
	m.TLVs = r.options()
	return m, r.err
}

func (r *reader) address(field string) Address {
	return Address{TON: r.octet(field), NPI: r.octet(field), Number: r.text(field, numberSize)}
}
