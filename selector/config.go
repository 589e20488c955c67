package selector

import (
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/selector/brain"
)

// Config shapes one selector. Start from [DefaultConfig], change what you must,
// and call [Config.Validate] before use.
type Config struct {
	// Window is how far back the record is read. Default 7 days.
	Window time.Duration `yaml:"window"`

	// HalfLife is the time in which half of what was learned of one device is
	// forgotten. Default 240 h: a device that was unlike its like two weeks ago
	// may be like them again.
	HalfLife time.Duration `yaml:"half_life"`

	// Refresh is how often the record is read again, for the counts in a
	// choice's words. Default 30 s.
	Refresh time.Duration `yaml:"refresh"`

	// Exchange is how often workers tell each other what they have learned.
	// Default 5 s.
	Exchange time.Duration `yaml:"exchange"`

	// Check is the age at which an attempt without proof counts as silent, in what
	// is learned and on the sides of an A/B. Default 60 s; proof that comes later
	// takes that back. Roads that prove nothing for minutes want more.
	Check time.Duration `yaml:"check"`

	// Explore scales how much a choice leaves to chance where two roads are
	// about as good, and Floor is the part of choices that are spread over all
	// roads, so that a sick one is seen to get well. Defaults 0.15 and 0.01.
	// Neither touches otp and call.
	Explore float64 `yaml:"explore"`
	Floor   float64 `yaml:"floor"`

	// Waiting is how many attempts a process watches for their receipts at a
	// time; attempts beyond are sent like any and teach nothing. Default 50,000,
	// about 6 MiB.
	Waiting int `yaml:"waiting"`
}

// DefaultConfig is what an empty selector section of the config file means.
func DefaultConfig() Config {
	return Config{
		Window:   7 * 24 * time.Hour,
		HalfLife: 240 * time.Hour,
		Refresh:  30 * time.Second,
		Exchange: 5 * time.Second,
		Check:    brain.Check * time.Second,
		Explore:  0.15,
		Floor:    0.01,
		Waiting:  50_000,
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
	if c.Exchange < time.Second {
		errs = append(errs, fmt.Errorf("selector.exchange: %v is less than 1s", c.Exchange))
	}
	if c.Check < time.Second || c.Check > brain.Horizon*time.Second/2 {
		errs = append(errs, fmt.Errorf("selector.check: %v is not between 1s and %v", c.Check, brain.Horizon*time.Second/2))
	}
	if c.Explore < 0 || c.Explore > 1 {
		errs = append(errs, fmt.Errorf("selector.explore: %v is not between 0 and 1", c.Explore))
	}
	if c.Floor < 0 || c.Floor > 0.2 {
		errs = append(errs, fmt.Errorf("selector.floor: %v is not between 0 and 0.2", c.Floor))
	}
	if c.Waiting < 1000 {
		errs = append(errs, fmt.Errorf("selector.waiting: %d is less than 1000", c.Waiting))
	}
	return errors.Join(errs...)
}

// brain is the configuration of the pure part. prior speaks of features by
// their words.
func (c Config) brain(prior func(r brain.Row, provider int) float32) brain.Config {
	b := brain.DefaultConfig()
	b.HalfLife, b.Check = float32(c.HalfLife.Seconds()), c.Check.Seconds()
	b.Explore, b.Floor = float32(c.Explore), float32(c.Floor)
	b.Prior = prior
	return b
}
