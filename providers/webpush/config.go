package webpush

import (
	"crypto/ecdh"
	"encoding/base64"
	"net/mail"
	"net/url"
	"strings"

	"github.com/herald-push/herald/providers"
)

// config is the JSON of an app's credentials.
type config struct {
	// Endpoint replaces scheme and host of every subscription; the path stays.
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, trusted beside the system's
	// Subject is where a push service may reach the operator: "mailto:…" or an
	// https address.
	Subject    string `json:"subject"`
	PublicKey  string `json:"public_key"`  // VAPID, base64url: what browsers subscribe with
	PrivateKey string `json:"private_key"` // VAPID, base64url
	// AllowPrivate lets subscriptions lead to this network, and to plain http.
	AllowPrivate bool `json:"allow_private"`

	subscriber string // Subject as the library wants it
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, c.schemes()...)
	faults.Require("subject", c.Subject)
	if c.Subject != "" && !isSubject(c.Subject) {
		faults.Add("subject", "must be like mailto:ops@example.com or https://example.com/contact")
	}
	c.checkKeys(&faults)
	// The library writes mailto: before everything that is not https.
	c.subscriber = strings.TrimPrefix(c.Subject, "mailto:")
	return &c, faults.Err()
}

// checkKeys checks that both keys are there and belong together.
func (c *config) checkKeys(faults *providers.Faults) {
	faults.Require("public_key", c.PublicKey)
	faults.Require("private_key", c.PrivateKey)
	public, err := ecdh.P256().NewPublicKey(decode(c.PublicKey))
	if c.PublicKey != "" && err != nil {
		faults.Add("public_key", "is not a point of P-256 in base64url")
	}
	private, err := ecdh.P256().NewPrivateKey(decode(c.PrivateKey))
	if c.PrivateKey != "" && err != nil {
		faults.Add("private_key", "is not a key of P-256 in base64url")
	}
	if public != nil && private != nil && !private.PublicKey().Equal(public) {
		faults.Add("public_key", "does not belong to private_key")
	}
	if public != nil && private != nil { // in the one spelling that the library reads
		c.PublicKey = base64.RawURLEncoding.EncodeToString(public.Bytes())
		c.PrivateKey = base64.RawURLEncoding.EncodeToString(private.Bytes())
	}
}

// schemes are those that an endpoint may have.
func (c *config) schemes() []string {
	if c.AllowPrivate {
		return []string{"https", "http"}
	}
	return []string{"https"}
}

// isSubject is stricter than RFC 8292, because Apple is.
func isSubject(s string) bool {
	if address, ok := strings.CutPrefix(s, "mailto:"); ok {
		a, err := mail.ParseAddress(address)
		return err == nil && a.Address == address
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// decode reads base64 of either alphabet, with or without padding; nil if it is
// not that.
func decode(s string) []byte {
	s = strings.TrimRight(s, "=")
	s = strings.NewReplacer("+", "-", "/", "_").Replace(s)
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
