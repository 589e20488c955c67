package vivo

import (
	"crypto/tls"

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
	c.tls = faults.TLS(c.CA)
	faults.Require("app_id", c.ID)
	faults.Require("app_key", c.Key)
	faults.Require("app_secret", c.Secret)
	faults.Classes("categories", c.Categories)
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
