package smpp

import (
	"encoding/json"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/smpp/pdu"
)

const (
	// defaultWindow is how many requests may be unanswered at once, unless the
	// service has agreed to more.
	defaultWindow = 10
	// defaultSegments keeps one careless text from costing a hundred messages.
	defaultSegments = 10
)

// config is the JSON of an app's credentials.
type config struct {
	Address    string      `json:"address"` // host:port
	TLS        bool        `json:"tls"`
	CA         string      `json:"ca"` // PEM, trusted beside the system's
	SystemID   string      `json:"system_id"`
	Password   string      `json:"password"`
	SystemType string      `json:"system_type"`
	From       string      `json:"from"`              // a number, a short code or a name
	Price      json.Number `json:"price_per_segment"` // in the app's currency; 0 if unknown
	Window     int         `json:"window"`            // 0 is 10
	Segments   int         `json:"max_segments"`      // 0 is 10
	// ReferenceBits is how long the number is that joins the parts of a text: 8
	// (the default) or 16, with which two texts at once to one phone mix up less
	// often, and a part holds a little less.
	ReferenceBits int `json:"reference_bits"`

	micros int64 // Price in millionths
	source pdu.Address
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	if host, port, err := net.SplitHostPort(c.Address); err != nil || host == "" || port == "" {
		faults.Add("address", "must be host:port")
	}
	faults.Require("system_id", c.SystemID)
	faults.Require("password", c.Password)
	within(&faults, "system_id", c.SystemID, 15)
	within(&faults, "password", c.Password, 64)
	within(&faults, "system_type", c.SystemType, 12)
	if c.source = sourceOf(c.From); c.From == "" {
		faults.Add("from", "is missing")
	} else {
		checkSender(&faults, c.From)
	}
	if b := c.ReferenceBits; b != 0 && b != 8 && b != 16 {
		faults.Add("reference_bits", "must be 8 or 16")
	}
	if c.Price != "" {
		price, err := strconv.ParseFloat(c.Price.String(), 64)
		if err != nil || !(price >= 0 && price <= 1000) {
			faults.Add("price_per_segment", "must be a number from 0 to 1000")
		}
		c.micros = int64(math.Round(price * 1e6))
	}
	c.Window = ranged(&faults, "window", c.Window, defaultWindow, 1000)
	c.Segments = ranged(&faults, "max_segments", c.Segments, defaultSegments, 255)
	return &c, faults.Err()
}

// checkSender notes a fault of a sender that does not fit.
func checkSender(faults *providers.Faults, from string) {
	if source := sourceOf(from); source.TON == nameTON {
		within(faults, "from", from, 11) // 3GPP TS 23.040: eleven letters
	} else {
		within(faults, "from", source.Number, 15)
	}
}

func within(faults *providers.Faults, field, v string, size int) {
	if len(v) > size || strings.IndexByte(v, 0) >= 0 {
		faults.Add(field, "must have at most "+strconv.Itoa(size)+" bytes and no zero")
	}
}

// ranged is v, or usual where v is 0.
func ranged(faults *providers.Faults, field string, v, usual, most int) int {
	if v < 0 || v > most {
		faults.Add(field, "must be from 1 to "+strconv.Itoa(most))
	}
	if v == 0 {
		return usual
	}
	return v
}

// Types of number and numbering plans (sections 5.2.5 and 5.2.6).
const (
	internationalTON = 1
	nameTON          = 5
	telephoneNPI     = 1
)

// sourceOf reads a sender: "+15550100", a short code such as "12345", whose
// type the service knows best, or a name.
func sourceOf(from string) pdu.Address {
	number, international := strings.CutPrefix(from, "+")
	switch {
	case !digits(number):
		return pdu.Address{TON: nameTON, Number: from}
	case international:
		return pdu.Address{TON: internationalTON, NPI: telephoneNPI, Number: number}
	default:
		return pdu.Address{NPI: telephoneNPI, Number: number}
	}
}

// destOf reads a number in E.164; ok is false for anything else.
func destOf(token string) (to pdu.Address, ok bool) {
	number, plus := strings.CutPrefix(token, "+")
	return pdu.Address{TON: internationalTON, NPI: telephoneNPI, Number: number}, plus && digits(number) && len(number) <= 15
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
