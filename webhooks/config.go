package webhooks

import (
	"errors"
	"fmt"
	"time"
)

// Config shapes the webhooks of a process. Start from [DefaultConfig].
type Config struct {
	// Places is how many calls a process has under way, and PerEndpoint how many
	// of them to one endpoint. Defaults 128 and 8.
	Places      int `yaml:"places"`
	PerEndpoint int `yaml:"per_endpoint"`

	// Timeout is how long an endpoint may take to answer. Default 15s.
	Timeout time.Duration `yaml:"timeout"`

	// GiveUp is how long an event is tried before it is a dead letter, and
	// DisableAfter how long an endpoint may fail without one success before it is
	// disabled. Defaults 72h and 96h: what is not given up is not cut off either.
	GiveUp       time.Duration `yaml:"give_up"`
	DisableAfter time.Duration `yaml:"disable_after"`

	// Keep is how long delivered events can be listed and replayed, KeepDead the
	// same for dead letters. Defaults 24h and 720h.
	Keep     time.Duration `yaml:"keep"`
	KeepDead time.Duration `yaml:"keep_dead"`

	// AllowPrivate lets endpoints be on private addresses and without TLS: for
	// development, and where every app is the operator's own. Default false.
	AllowPrivate bool `yaml:"allow_private"`

	// Grace is how long calls may finish once shutdown begins; what is cut off is
	// called again. Default 5s.
	Grace time.Duration `yaml:"grace"`
}

// DefaultConfig is what an empty webhooks section of the config file means.
func DefaultConfig() Config {
	return Config{
		Places: 128, PerEndpoint: 8, Timeout: 15 * time.Second, GiveUp: 72 * time.Hour, DisableAfter: 96 * time.Hour,
		Keep: 24 * time.Hour, KeepDead: 30 * 24 * time.Hour, Grace: 5 * time.Second,
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Places < 1 {
		errs = append(errs, fmt.Errorf("webhooks.places: %d is less than 1", c.Places))
	}
	if c.PerEndpoint < 1 || c.PerEndpoint > c.Places {
		errs = append(errs, fmt.Errorf("webhooks.per_endpoint: %d is not between 1 and places", c.PerEndpoint))
	}
	if c.Timeout > leaseTime/2 {
		errs = append(errs, fmt.Errorf("webhooks.timeout: %v is more than %v", c.Timeout, leaseTime/2))
	}
	for _, d := range []struct {
		key string
		d   time.Duration
	}{
		{"timeout", c.Timeout}, {"give_up", c.GiveUp}, {"disable_after", c.DisableAfter},
		{"keep", c.Keep}, {"keep_dead", c.KeepDead}, {"grace", c.Grace},
	} {
		if d.d <= 0 {
			errs = append(errs, fmt.Errorf("webhooks.%s: %v is not positive", d.key, d.d))
		}
	}
	return errors.Join(errs...)
}
