package sms

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/herald-push/herald/providers"
)

// ownEndpoint is Twilio's; any service with the same API may take its place.
const ownEndpoint = "https://api.twilio.com"

// config is the JSON of an app's credentials.
type config struct {
	Endpoint string      `json:"endpoint"`
	CA       string      `json:"ca"` // PEM, trusted beside the system's
	Account  string      `json:"account"`
	Secret   string      `json:"secret"`            // also signs the callbacks
	From     string      `json:"from"`              // a number, or a messaging service (MG…)
	Price    json.Number `json:"price_per_segment"` // in the app's currency; 0 if unknown

	micros int64 // Price in millionths
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https", "http")
	faults.Require("account", c.Account)
	if strings.ContainsAny(c.Account, "/?#% ") {
		faults.Add("account", "is not an account's id")
	}
	faults.Require("secret", c.Secret)
	faults.Require("from", c.From)
	if c.Price != "" {
		price, err := strconv.ParseFloat(c.Price.String(), 64)
		if err != nil || !(price >= 0 && price <= 1000) {
			faults.Add("price_per_segment", "must be a number from 0 to 1000")
		}
		c.micros = int64(math.Round(price * 1e6))
	}
	if c.Endpoint == "" {
		c.Endpoint = ownEndpoint
	}
	return &c, faults.Err()
}
