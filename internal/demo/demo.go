// Package demo plays what Herald is for: a fleet of simulated devices with
// their people, and a business that sends them things. All of it comes in from
// outside, through the HTTP API, the live connection and the vendors' sandbox,
// so that what a newcomer sees is what Herald really does.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/providers/sandbox"
)

// Config is where the fleet lives.
type Config struct {
	Client *client.Client   // with a key of the app, all scopes
	MQTT   string           // host:port of the live connection
	Box    *sandbox.Sandbox // the vendors
	Log    *slog.Logger
}

// Fleet is the devices and the business.
type Fleet struct {
	cfg     Config
	log     *slog.Logger
	devices []*device
	byToken map[string]*device // by the vendor's name for the device
	busy    chan struct{}      // a token for each message that somebody looks at

	mu     sync.Mutex
	ended  bool // nobody looks any more
	people sync.WaitGroup
}

// mostLooks bounds the messages that people look at at the same time. Beyond
// it they look away: the fleet is a picture, not a load test.
const mostLooks = 2000

// New makes the fleet, the same one each time.
func New(cfg Config) *Fleet {
	f := &Fleet{cfg: cfg, log: cfg.Log, devices: devices(), byToken: map[string]*device{}, busy: make(chan struct{}, mostLooks)}
	for _, d := range append(f.devices, phone()) {
		for _, a := range d.Addresses {
			f.byToken[a.Token] = d
		}
	}
	return f
}

// Describe says what the fleet is, in words.
func Describe() string {
	return fmt.Sprintf("%d simulated devices, %d of them on MQTT, and a few notifications a second", fleetSize, liveSize)
}

// Phone registers phone-1, the device that a newcomer plays.
func Phone(ctx context.Context, herald *client.Client) error {
	_, err := herald.PutDevice(ctx, phone().Device)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// Corner puts a fence around a shop, past which the demo's device page can walk.
func Corner(ctx context.Context, herald *client.Client) error {
	_, err := herald.PutFence(ctx, client.Fence{
		ID: "corner-shop", Name: "The corner shop", Circle: &client.Circle{Lat: 52.5219, Lon: 13.4132, Radius: 120}, On: []string{"enter"},
		Notification: []byte(`{"title":"Welcome to the corner shop","body":"Coffee is on the house today","ttl_seconds":600}`),
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// Run registers the devices and lets them live until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	if err := f.setManners(); err != nil {
		return err
	}
	defer f.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.cfg.Box.OnShow(func(m sandbox.Message) { f.shown(ctx, m) })()

	if err := f.register(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var parts sync.WaitGroup
	for _, d := range f.devices {
		if d.live {
			parts.Go(func() { f.connect(ctx, d) })
		}
	}
	parts.Go(func() { f.traffic(ctx) })
	parts.Wait()
	return nil
}

// end waits until nobody looks at a message any more.
func (f *Fleet) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.people.Wait()
}

// setManners makes the vendors as different as real ones: Google answers later
// and errs more often, and text messages take their time.
func (f *Fleet) setManners() error {
	return errors.Join(
		f.cfg.Box.Set("apns", sandbox.Settings{LatencyMs: 20, JitterMs: 30, ErrorRate: 0.002}),
		f.cfg.Box.Set("fcm", sandbox.Settings{LatencyMs: 50, JitterMs: 120, ErrorRate: 0.04, Error: "UNAVAILABLE"}),
		f.cfg.Box.Set("sms", sandbox.Settings{LatencyMs: 120, JitterMs: 200, ReceiptDelayMs: 1500, ReceiptJitterMs: 4000, ReceiptLoss: 0.05}),
	)
}

// register puts every device, a few at a time.
func (f *Fleet) register(ctx context.Context) error {
	const together = 8
	places := make(chan struct{}, together)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, d := range f.devices {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			if _, err := f.cfg.Client.PutDevice(ctx, d.Device); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wait.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("demo: %d of %d devices could not be registered: %w", len(errs), len(f.devices), errs[0])
	}
	return nil
}

// between is a time at random, short ones likelier than long ones, as people
// are.
func between(least, most time.Duration) time.Duration {
	x := rand.Float64()
	return least + time.Duration(x*x*float64(most-least))
}

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
