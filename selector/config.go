package selector

import (
	"errors"
	"fmt"
	"time"
)

// Config shapes one selector. Start from [DefaultConfig], change what you must,
// and call [Config.Validate] before use.
type Config struct {
	// Window is how far back the record is read. Default 7 days.
	Window time.Duration `yaml:"window"`

	// HalfLife is the age at which a past attempt counts half. Default 24 h: a
	// provider that was sick yesterday morning is nearly forgiven today. Too
	// short forgets good evidence, too long keeps punishing what is mended.
	HalfLife time.Duration `yaml:"half_life"`

	// Refresh is how often the record is read again. Between two reads the
	// selector goes on with what this process itself sees. Default 30 s.
	Refresh time.Duration `yaml:"refresh"`

	// Prior is what a provider without any record is believed to deliver, in
	// (0, 1). Default 0.8.
	Prior float64 `yaml:"prior"`

	// PriorWeight is how many attempts that belief is worth. A group's rate is
	// drawn towards its wider group's by the same weight, so that three lucky
	// attempts do not outshout ten thousand. Default 20.
	PriorWeight float64 `yaml:"prior_weight"`
}

// DefaultConfig is what an empty selector section of the config file means.
func DefaultConfig() Config {
	return Config{
		Window:      7 * 24 * time.Hour,
		HalfLife:    24 * time.Hour,
		Refresh:     30 * time.Second,
		Prior:       0.8,
		PriorWeight: 20,
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Window < time.Hour {
		errs = append(errs, fmt.Errorf("selector.window: %v is less than 1h", c.Window))
	}
	if c.HalfLife <= 0 {
		errs = append(errs, fmt.Errorf("selector.half_life: %v is not positive", c.HalfLife))
	}
	if c.Refresh < time.Second {
		errs = append(errs, fmt.Errorf("selector.refresh: %v is less than 1s", c.Refresh))
	}
	if c.Prior <= 0 || c.Prior >= 1 {
		errs = append(errs, fmt.Errorf("selector.prior: %v is not between 0 and 1", c.Prior))
	}
	if c.PriorWeight <= 0 {
		errs = append(errs, fmt.Errorf("selector.prior_weight: %v is not positive", c.PriorWeight))
	}
	return errors.Join(errs...)
}
