package scheduler

import (
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/push"
)

// Config shapes a [Door] and a [Worker]. Start from [DefaultConfig], change
// what you must, and call [Config.Validate] before use.
type Config struct {
	// Window is the longest a notification waits for others to be queued with
	// it; one that comes alone does not wait. Default 2ms.
	Window time.Duration `yaml:"window"`

	// Slots is how many tasks of each urgency a worker has in hand. A task
	// mostly waits for vendors, so this is far above the number of processors.
	// Default 1024; min 1.
	Slots int `yaml:"slots"`

	// InFlight is how many deliveries of each urgency a worker has in memory,
	// about 8 KiB each while they are sent. Default 2048; min 256.
	InFlight int `yaml:"in_flight"`

	// Attempt is how long a provider may take to answer. After that the attempt
	// counts as unknown: it may have been sent. Default 10s.
	Attempt time.Duration `yaml:"attempt"`

	// Flush is the longest an answer stays in memory before it is recorded: what
	// a crash may send again. Default 50ms.
	Flush time.Duration `yaml:"flush"`

	// Backlog is how many tasks may wait in a queue before the expansion of an
	// audience into it pauses; each stands for up to 256 deliveries. They are before whoever comes
	// after them, so it is no more than half a second's work. Default 32.
	Backlog int `yaml:"backlog"`

	// Grace is how long tasks may finish once shutdown begins; what is left goes
	// back to the queue. Keep it above Attempt, and below the supervisor's kill
	// timeout. Default 12s.
	Grace time.Duration `yaml:"grace"`

	// Stuck is how long a due task may wait before [Worker.Ready] says that the
	// queue does not drain. Default 1m.
	Stuck time.Duration `yaml:"stuck"`

	// Lane shapes the lane of each app and provider.
	Lane LaneConfig `yaml:"lane"`
}

// LaneConfig shapes the lanes: what one app may have in flight with one
// provider, and when to leave the provider alone.
type LaneConfig struct {
	// Start is how many attempts may be in flight at first, Most how many ever.
	// Between them the lane finds its own way. Defaults 64 and 1000.
	Start int `yaml:"start"`
	Most  int `yaml:"most"`

	// Patience is how long a delivery waits for a place before it is parked, so
	// that it does not hold up others. Default 2s.
	Patience time.Duration `yaml:"patience"`

	// Stall is how long a busy lane may go without any answer before no more
	// attempts are begun in it. Default 1s.
	Stall time.Duration `yaml:"stall"`

	// Trip is how many attempts in a row may fail for the provider's sake (no
	// answer, not available) before the lane closes. Default 10.
	Trip int `yaml:"trip"`

	// Pause is how long a tripped lane stays closed before one attempt probes
	// it. It doubles with each failed probe up to PauseMost. Defaults 1s and 1m.
	Pause     time.Duration `yaml:"pause"`
	PauseMost time.Duration `yaml:"pause_most"`

	// Credentials is how long a lane stays closed whose credentials were
	// refused, if nobody changes them. Default 30s.
	Credentials time.Duration `yaml:"credentials"`
}

// DefaultConfig is what an empty scheduler section of the config file means.
func DefaultConfig() Config {
	return Config{
		Window: 2 * time.Millisecond, Slots: 1024, InFlight: 2048, Attempt: 10 * time.Second,
		Flush: 50 * time.Millisecond, Backlog: 32, Grace: 12 * time.Second, Stuck: time.Minute,
		Lane: LaneConfig{
			Start: 64, Most: 1000, Patience: 2 * time.Second, Stall: time.Second, Trip: 10,
			Pause: time.Second, PauseMost: time.Minute, Credentials: 30 * time.Second,
		},
	}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		key        string
		value, min int
	}{
		{"slots", c.Slots, 1},
		{"in_flight", c.InFlight, 256},
		{"backlog", c.Backlog, 1},
		{"lane.start", c.Lane.Start, 1},
		{"lane.most", c.Lane.Most, max(1, c.Lane.Start)},
		{"lane.trip", c.Lane.Trip, 1},
	} {
		if f.value < f.min {
			errs = append(errs, fmt.Errorf("scheduler.%s: %d is less than %d", f.key, f.value, f.min))
		}
	}
	for _, f := range []struct {
		key   string
		value time.Duration
	}{
		{"window", c.Window},
		{"attempt", c.Attempt},
		{"flush", c.Flush},
		{"grace", c.Grace},
		{"stuck", c.Stuck},
		{"lane.patience", c.Lane.Patience},
		{"lane.stall", c.Lane.Stall},
		{"lane.pause", c.Lane.Pause},
		{"lane.pause_most", c.Lane.PauseMost},
		{"lane.credentials", c.Lane.Credentials},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("scheduler.%s: %v is not positive", f.key, f.value))
		}
	}
	return errors.Join(errs...)
}

// wait is how long a road may stay without the proof that ends the journey.
func wait(n *push.Notification) time.Duration {
	if n.Route.WaitSeconds > 0 {
		return time.Duration(n.Route.WaitSeconds) * time.Second
	}
	switch n.Class {
	case push.Call:
		return 5 * time.Second
	case push.OTP:
		return 10 * time.Second
	case push.Chat:
		return 15 * time.Second
	case push.Marketing:
		return time.Minute
	default:
		return 30 * time.Second
	}
}

// until is the proof that ends the journey.
func until(n *push.Notification) push.Stage {
	if n.Route.Until != "" {
		return n.Route.Until
	}
	return push.Delivered
}
