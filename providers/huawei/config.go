package huawei

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	ownEndpoint      = "https://push-api.cloud.huawei.com"
	ownTokenEndpoint = "https://oauth-login.cloud.huawei.com"
	tokenPath        = "/oauth2/v3/token"
)

// config is the JSON of an app's credentials.
type config struct {
	Endpoint     string `json:"endpoint"` // replaces Huawei's hosts, that of the access tokens too
	CA           string `json:"ca"`       // PEM, trusted beside the system's
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	AppID        string `json:"app_id"`     // default: client_id, which an app's own OAuth client has
	ProjectID    string `json:"project_id"` // if given, messages go by v2 of the API, to the whole project

	// ReceiptID chooses one of the console's receipt configurations; "" is the
	// console's default. The console is told the user and the secret that the
	// receipts are signed with; without them here no receipt is believed.
	ReceiptID      string `json:"receipt_id"`
	CallbackUser   string `json:"callback_user"`
	CallbackSecret string `json:"callback_secret"`

	// ClickIntent is what a tap opens, as an intent's address; "" is the app.
	ClickIntent string `json:"click_intent"`
	// Categories replace our choice of Huawei's category by class. An app has
	// to apply for each in the console.
	Categories map[push.Class]string `json:"categories"`

	send, token string // addresses
	tls         *tls.Config
}

// known are the categories of
// developer.huawei.com/consumer/en/doc/HMSCore-Guides/message-classification-0000001149358835
var known = []string{
	"IM", "VOIP", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE",
	"DEVICE_REMINDER", "MAIL", "PLAY_VOICE", "MARKETING",
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https", "http")
	faults.Require("client_id", c.ClientID)
	faults.Require("client_secret", c.ClientSecret)
	for _, id := range []struct{ field, value string }{
		{"client_id", c.ClientID}, {"app_id", c.AppID}, {"project_id", c.ProjectID},
	} {
		if strings.ContainsAny(id.value, "/?#% ") {
			faults.Add(id.field, "is not an id")
		}
	}
	if c.AppID == "" {
		c.AppID = c.ClientID
	}
	if (c.CallbackUser == "") != (c.CallbackSecret == "") {
		faults.Add("callback_secret", "goes with callback_user: Huawei signs receipts only with both")
	}
	if c.ClickIntent != "" && !strings.Contains(c.ClickIntent, "#Intent;") {
		faults.Add("click_intent", "must be an intent's address, with #Intent;")
	}
	faults.Classes("categories", c.Categories)
	for _, class := range slices.Sorted(maps.Keys(c.Categories)) {
		if category := c.Categories[class]; category != "" && !slices.Contains(known, category) {
			faults.Add(fmt.Sprintf("categories.%.20s", class), "must be one of "+strings.Join(known, " "))
		}
	}
	c.tls = faults.TLS(c.CA)
	c.send, c.token = c.addresses()
	return &c, faults.Err()
}

// addresses are those of messages and of access tokens.
func (c *config) addresses() (send, token string) {
	send, token = ownEndpoint, ownTokenEndpoint
	if c.Endpoint != "" {
		send = strings.TrimSuffix(c.Endpoint, "/")
		token = send
	}
	if c.ProjectID != "" {
		send += "/v2/" + url.PathEscape(c.ProjectID)
	} else {
		send += "/v1/" + url.PathEscape(c.AppID)
	}
	return send + "/messages:send", token + tokenPath
}
