package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

const (
	isolationFor  = 10 * time.Second
	isolationRate = 25.0 // notifications of 100 devices a second, in each of the two lanes
	googleDevices = 1000 // of the app's: those that FCM reaches
)

// isolation loads two lanes of one app alike, lets the vendor of one be sick,
// and measures what share of its throughput the other keeps.
func (o options) isolation(ctx context.Context, s *stack) ([]figure, error) {
	if s.record == "" {
		return nil, fmt.Errorf("bench: isolation needs ClickHouse")
	}
	sick := []struct{ name, settings string }{
		{"hangs", `{"outage":"hang"}`},
		{"answers 429 to everything", `{"error_rate":1,"error":"TooManyRequests"}`},
		{"refuses the credentials", `{"error_rate":1,"error":"InvalidProviderToken"}`},
		{"takes 2 s", `{"latency_ms":2000}`},
	}
	if _, err := s.healthy(ctx, "warm-up"); err != nil { // connections, tokens, the lane's width
		return nil, err
	}
	var figures []figure
	for _, sickness := range sick {
		var shares []float64
		for range o.runs {
			if err := s.settings(ctx, `{"latency_ms":5}`); err != nil {
				return nil, err
			}
			well, err := s.healthy(ctx, "well")
			if err != nil {
				return nil, err
			}
			if err := s.settings(ctx, sickness.settings); err != nil {
				return nil, err
			}
			beside, err := s.healthy(ctx, "sick")
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "  a lane beside one whose vendor %s: %.0f/s, before %.0f/s\n", sickness.name, beside, well)
			shares = append(shares, 100*beside/well)
			if err := s.reopen(ctx); err != nil {
				return nil, err
			}
		}
		figures = append(figures, of("throughput kept beside a lane whose vendor "+sickness.name, "%", shares))
	}
	return figures, nil
}

// healthy sends to both lanes and tells how many deliveries a second the
// healthy one has made by the time its last is done.
func (s *stack) healthy(ctx context.Context, name string) (float64, error) {
	ctx, stop := context.WithTimeout(ctx, isolationFor+time.Minute)
	defer stop()
	name = name + "-" + runName()
	began := time.Now()
	_, err := s.api.pace(ctx, 2*isolationRate, isolationFor, "/v1/notifications", func(i int) []byte {
		if i%2 == 0 {
			return notification(fmt.Sprintf("bad-%s-%d", name, i), i*100, 100, 10_000)
		}
		ids := make([]string, 100)
		for k := range ids {
			ids[k] = googleID((i*50 + k) % googleDevices)
		}
		body, err := json.Marshal(map[string]any{
			"id": fmt.Sprintf("good-%s-%d", name, i), "to": map[string]any{"devices": ids}, "class": "transactional", "title": "Shipped",
		})
		if err != nil {
			panic(err) // strings and numbers always encode
		}
		return body
	})
	if err != nil {
		return 0, err
	}
	n := int(isolationRate * isolationFor.Seconds() * 100)
	where := fmt.Sprintf("FROM receipts WHERE app = '%s' AND startsWith(notification, 'good-%s-') AND stage = 'accepted'", app, name)
	if err := until(ctx, n, func(ctx context.Context) (int, error) { return s.ask(ctx, "SELECT count() "+where) }); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	last, err := s.ask(ctx, fmt.Sprintf("SELECT toUnixTimestamp64Milli(max(received_at)) - %d ", began.UnixMilli())+where)
	return float64(n) / (float64(last) / 1000), err
}

// reopen makes APNs well and its lane open again.
func (s *stack) reopen(ctx context.Context) error {
	if err := s.settings(ctx, `{}`); err != nil {
		return err
	}
	return s.credentials(ctx)
}
