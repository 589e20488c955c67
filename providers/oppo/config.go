package oppo

import (
	"crypto/tls"
	"maps"
	"slices"

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
	var err error
	if c.tls, err = providers.TLS(c.CA); err != nil {
		faults.Add("ca", "holds no certificate in PEM")
	}
	faults.Require("app_key", c.Key)
	faults.Require("master_secret", c.Secret)
	checkClasses(&faults, "channels", c.Channels)
	checkClasses(&faults, "categories", c.Categories)
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}

func checkClasses(faults *providers.Faults, field string, by map[push.Class]string) {
	for _, class := range slices.Sorted(maps.Keys(by)) {
		if !class.Known() {
			faults.Add(field+"."+string(class), "is no message class")
		}
	}
}
