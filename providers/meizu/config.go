package meizu

import (
	"crypto/tls"

	"github.com/herald-push/herald/providers"
)

// ownEndpoint is the service's.
const ownEndpoint = "https://server-api-push.meizu.com"

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, trusted beside the system's
	ID       string `json:"app_id"`
	Secret   string `json:"app_secret"`

	tls *tls.Config
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https", "http")
	c.tls = faults.TLS(c.CA)
	faults.Require("app_id", c.ID)
	faults.Require("app_secret", c.Secret)
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}
