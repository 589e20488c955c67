package xmpp

import (
	"crypto/tls"
	"net"
	"strings"

	"github.com/herald-push/herald/providers"
)

// config is the JSON of an app's credentials.
type config struct {
	Address string `json:"address"` // host:port of the server's component port
	Domain  string `json:"domain"`  // the component's own, such as push.example.org
	Secret  string `json:"secret"`
	TLS     bool   `json:"tls"` // from the first byte on; the protocol has no STARTTLS
	CA      string `json:"ca"`  // PEM, trusted beside the system's
	// Type is the messages': "chat" (the default), which servers keep for a
	// device that is away, or "headline", which they drop.
	Type string `json:"type"`
	// AMP adds the expiry of XEP-0079, for servers that are known to take it.
	AMP bool `json:"amp"`

	tls *tls.Config // nil without TLS
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	c := config{Type: "chat"}
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Require("secret", c.Secret)
	host, port, err := net.SplitHostPort(c.Address)
	switch {
	case c.Address == "":
		faults.Require("address", c.Address)
	case err != nil || host == "" || port == "":
		faults.Add("address", "must be like xmpp.example.org:5347")
	}
	switch {
	case c.Domain == "":
		faults.Require("domain", c.Domain)
	case len(c.Domain) > 255 || strings.ContainsAny(c.Domain, "/@ \t\r\n<>&'\""):
		faults.Add("domain", "must be like push.example.org")
	}
	if c.Type != "chat" && c.Type != "headline" {
		faults.Add("type", "must be chat or headline")
	}
	trust, err := providers.TLS(c.CA)
	if err != nil {
		faults.Add("ca", "holds no certificate in PEM")
	}
	if c.TLS && trust != nil {
		c.tls = trust
		c.tls.ServerName = host
	}
	return &c, faults.Err()
}
