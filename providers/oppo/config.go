package oppo

import (
	"crypto/tls"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// ownEndpoint is the one for devices in China.
const ownEndpoint = "https://api.push.oppomobile.com"

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, trusted beside the system's
	Key      string `json:"app_key"`
	Secret   string `json:"master_secret"`
	// Channels and Categories are the app's own at OPPO, by message class. A
	// class without them is public: its messages are counted.
	Channels   map[push.Class]string `json:"channels"`
	Categories map[push.Class]string `json:"categories"`

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
	faults.Require("app_key", c.Key)
	faults.Require("master_secret", c.Secret)
	faults.Classes("channels", c.Channels)
	faults.Classes("categories", c.Categories)
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}
