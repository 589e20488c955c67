package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"

	"github.com/sideshow/apns2/token"

	"github.com/herald-push/herald/providers"
)

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string `json:"endpoint"` // replaces Apple's hosts; https
	CA       string `json:"ca"`       // PEM, trusted beside the system's
	KeyID    string `json:"key_id"`
	TeamID   string `json:"team_id"`
	Key      string `json:"key"`   // PEM of the .p8 file
	Topic    string `json:"topic"` // the app's bundle id; an address may name another

	key *ecdsa.PrivateKey
	tls *tls.Config
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https")
	faults.Require("key_id", c.KeyID)
	faults.Require("team_id", c.TeamID)
	faults.Require("topic", c.Topic)
	faults.Require("key", c.Key)
	var err error
	if c.Key != "" {
		c.key, err = token.AuthKeyFromBytes([]byte(c.Key))
		if err != nil || c.key.Curve != elliptic.P256() {
			faults.Add("key", "is not the PEM of a .p8 file with a P-256 key")
		}
	}
	if c.tls, err = providers.TLS(c.CA); err != nil {
		faults.Add("ca", "holds no certificate in PEM")
	}
	return &c, faults.Err()
}
