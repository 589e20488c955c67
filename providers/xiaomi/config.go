package xiaomi

import (
	"crypto/tls"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// ownEndpoint is the one for devices in China; apps abroad name their region's.
const ownEndpoint = "https://api.xmpush.xiaomi.com"

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, trusted beside the system's
	Secret   string `json:"app_secret"`
	Package  string `json:"package"`
	// Channels are the ids that Xiaomi gave the app's channels, by message
	// class. A class without one goes by the default channel, of which a device
	// gets one message a day.
	Channels map[push.Class]string `json:"channels"`

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
	faults.Require("app_secret", c.Secret)
	faults.Require("package", c.Package)
	faults.Classes("channels", c.Channels)
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}
