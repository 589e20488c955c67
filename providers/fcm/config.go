package fcm

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"

	"golang.org/x/oauth2/google"
	"golang.org/x/oauth2/jwt"

	"github.com/herald-push/herald/providers"
)

const (
	ownEndpoint = "https://fcm.googleapis.com"
	scope       = "https://www.googleapis.com/auth/firebase.messaging"
)

// config is the JSON of an app's credentials.
type config struct {
	Endpoint       string          `json:"endpoint"`        // replaces Google's host; its /token is the token endpoint where the account names none
	CA             string          `json:"ca"`              // PEM, trusted beside the system's
	ServiceAccount json.RawMessage `json:"service_account"` // the file that Google gives

	project string
	oauth   *jwt.Config
	tls     *tls.Config
}

// account is what must be in a service account.
type account struct {
	Type       string `json:"type"`
	ProjectID  string `json:"project_id"`
	PrivateKey string `json:"private_key"`
	Email      string `json:"client_email"`
	TokenURI   string `json:"token_uri"`
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
	var a account
	switch {
	case len(c.ServiceAccount) == 0:
		faults.Add("service_account", "is missing")
	case json.Unmarshal(c.ServiceAccount, &a) != nil:
		faults.Add("service_account", "is not the JSON object that Google gives")
	default:
		a.check(&faults)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	c.project = a.ProjectID
	var err error
	if c.oauth, err = google.JWTConfigFromJSON(c.ServiceAccount, scope); err != nil {
		faults.Add("service_account", "cannot be used")
		return nil, faults.Err()
	}
	if a.TokenURI == "" && c.Endpoint != "" {
		c.oauth.TokenURL = strings.TrimSuffix(c.Endpoint, "/") + "/token"
	}
	return &c, nil
}

func (a *account) check(faults *providers.Faults) {
	if a.Type != "service_account" {
		faults.Add("service_account.type", `must be "service_account"`)
	}
	faults.Require("service_account.project_id", a.ProjectID)
	if strings.ContainsAny(a.ProjectID, "/?#% ") {
		faults.Add("service_account.project_id", "is not a project's id")
	}
	faults.Require("service_account.client_email", a.Email)
	faults.Endpoint("service_account.token_uri", a.TokenURI, "https", "http")
	if !isRSA(a.PrivateKey) {
		faults.Add("service_account.private_key", "is not the PEM of an RSA key")
	}
}

func isRSA(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, ok := key.(*rsa.PrivateKey)
	return err == nil && ok
}

// base is the address that the SDK puts /projects/… behind.
func (c *config) base() string {
	if c.Endpoint == "" {
		return ownEndpoint + "/v1"
	}
	return strings.TrimSuffix(strings.TrimSuffix(c.Endpoint, "/"), "/v1") + "/v1"
}
