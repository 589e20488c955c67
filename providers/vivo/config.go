package vivo

import (
	"crypto/tls"
	"maps"
	"slices"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// ownEndpoint is the service's.
const ownEndpoint = "https://api-push.vivo.com.cn"

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, trusted beside the system's
	ID       string `json:"app_id"`
	Key      string `json:"app_key"`
	Secret   string `json:"app_secret"`
	// Categories are the service's second level of classes, by message class,
	// where they differ from ours.
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
	faults.Require("app_id", c.ID)
	faults.Require("app_key", c.Key)
	faults.Require("app_secret", c.Secret)
	for _, class := range slices.Sorted(maps.Keys(c.Categories)) {
		if !class.Known() {
			faults.Add("categories."+string(class), "is no message class")
		}
	}
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}

// categories are the service's for our classes:
// dev.vivo.com.cn/documentCenter/doc/359
var categories = map[push.Class]string{
	push.OTP: "ACCOUNT", push.Transactional: "ORDER", push.Chat: "IM", push.Call: "IM", push.Marketing: "MARKETING",
}

// category is what the service calls a class.
func (c *config) category(class push.Class) string {
	if own := c.Categories[class]; own != "" {
		return own
	}
	return categories[class]
}
