package honor

import (
	"crypto/tls"
	"net/url"
	"strings"

	"github.com/herald-push/herald/providers"
)

const (
	ownEndpoint      = "https://push-api.cloud.honor.com"
	ownTokenEndpoint = "https://iam.developer.honor.com"
	tokenPath        = "/auth/token"
)

// config is the JSON of an app's credentials.
type config struct {
	Endpoint     string `json:"endpoint"` // replaces Honor's hosts, that of the access tokens too
	CA           string `json:"ca"`       // PEM, trusted beside the system's
	AppID        string `json:"app_id"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	ClickIntent  string `json:"click_intent"` // what a tap opens, as an intent's address; "" is the app

	send, token string // addresses
	tls         *tls.Config
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https", "http")
	faults.Require("app_id", c.AppID)
	if strings.ContainsAny(c.AppID, "/?#% ") {
		faults.Add("app_id", "is not an id")
	}
	faults.Require("client_id", c.ClientID)
	faults.Require("client_secret", c.ClientSecret)
	if c.ClickIntent != "" && !strings.Contains(c.ClickIntent, "#Intent;") {
		faults.Add("click_intent", "must be an intent's address, with #Intent;")
	}
	c.tls = faults.TLS(c.CA)
	send, token := ownEndpoint, ownTokenEndpoint
	if c.Endpoint != "" {
		send = strings.TrimSuffix(c.Endpoint, "/")
		token = send
	}
	c.send, c.token = send+"/api/v1/"+url.PathEscape(c.AppID)+"/sendMessage", token+tokenPath
	return &c, faults.Err()
}
