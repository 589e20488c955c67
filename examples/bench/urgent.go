package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	urgentFor   = 15 * time.Second // how long codes are sent into the broadcast
	urgentRate  = 50.0             // codes a second
	floodConns  = 48               // connections of the app that floods
	floodedFor  = 10 * time.Second
	floodedRate = 50.0 // notifications a second of the app beside it
)

// urgent sends one-time codes while a broadcast to all devices runs, and
// measures how long they take from the API to the provider's answer.
func (o options) urgent(ctx context.Context, s *stack) ([]figure, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if s.record == "" {
		return nil, fmt.Errorf("bench: urgent needs ClickHouse")
	}
	alone, err := s.codes(ctx, "alone", 3*time.Second)
	if err != nil {
		return nil, err
	}
	broadcast := "all-" + runName()
	body := fmt.Sprintf(`{"id":%q,"to":{"all":true},"class":"marketing","title":"News","body":"For everybody"}`, broadcast)
	if _, err := s.api.do(ctx, http.MethodPost, "/v1/notifications", []byte(body)); err != nil {
		return nil, err
	}
	if err := until(ctx, min(20_000, o.broadcast/4), s.accepted); err != nil {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	before, began := s.cpu(), time.Now()
	started, err := s.accepted(ctx)
	if err != nil {
		return nil, err
	}
	during, err := s.codes(ctx, "during", urgentFor)
	if err != nil {
		return nil, err
	}
	sent, err := s.accepted(ctx)
	if err != nil {
		return nil, err
	}
	rate := float64(sent-started) / time.Since(began).Seconds()
	worker := float64((s.cpu()["worker"] - before["worker"]).Microseconds()) / float64(sent-started)
	if sent >= o.broadcast {
		fmt.Fprintln(os.Stderr, "  the broadcast was over before the codes were: give it more devices")
	}
	if _, err := s.api.do(ctx, http.MethodDelete, "/v1/notifications/"+broadcast, nil); err != nil {
		return nil, err
	}
	return []figure{
		of("one-time code, API to provider, p99, nothing else to do", "ms", []float64{alone.p99}),
		of(fmt.Sprintf("one-time code, API to provider, p99, during a broadcast to %d", o.broadcast), "ms", []float64{during.p99}),
		of("  of these, p50", "ms", []float64{during.p50}),
		of("  the broadcast's rate meanwhile", "1/s", []float64{rate}),
		of("  processor, worker", "µs each", []float64{worker}),
	}, nil
}

// quantiles are of the time from acceptance by the API to the provider's answer.
type quantiles struct{ p50, p99 float64 }

// codes sends one-time codes at a steady rate and reads from ClickHouse how
// long they took.
func (s *stack) codes(ctx context.Context, name string, d time.Duration) (quantiles, error) {
	name = "otp-" + name + "-" + runName()
	_, err := s.api.pace(ctx, urgentRate, d, "/v1/notifications", func(i int) []byte {
		return fmt.Appendf(nil, `{"id":"%s-%d","to":{"device":%q},"class":"otp","title":"Code","body":"123456","ttl_seconds":60}`, name, i, deviceID(i))
	})
	if err != nil {
		return quantiles{}, err
	}
	return s.took(ctx, app, name, int(urgentRate*d.Seconds()))
}

// took waits for n first answers to an app's notifications whose ids begin with
// a name, and tells how long they took.
func (s *stack) took(ctx context.Context, app, name string, n int) (q quantiles, err error) {
	where := fmt.Sprintf("FROM receipts WHERE app = '%s' AND startsWith(notification, '%s-') AND attempt = 1 AND answer = 1", app, name)
	if err := until(ctx, n, func(ctx context.Context) (int, error) { return s.ask(ctx, "SELECT count() "+where) }); err != nil {
		return q, fmt.Errorf("%s: %w", name, err)
	}
	answer, err := s.query(ctx, "SELECT arrayStringConcat(arrayMap(x -> toString(x), quantilesExact(0.5, 0.99)(since_ms)), ' ') "+where)
	if err != nil {
		return q, err
	}
	words := strings.Fields(answer)
	if len(words) != 2 {
		return q, fmt.Errorf("bench: ClickHouse answered %q", answer)
	}
	if q.p50, err = strconv.ParseFloat(words[0], 64); err == nil {
		q.p99, err = strconv.ParseFloat(words[1], 64)
	}
	if err != nil {
		return q, fmt.Errorf("bench: ClickHouse answered %q: %w", answer, err)
	}
	fmt.Fprintf(os.Stderr, "  %s: p50 %.1f ms, p99 %.1f ms\n", name, q.p50, q.p99)
	return q, nil
}

// fair has one app flood Herald with single notifications of the same urgency
// as those that another app sends now and then, and measures the other's.
func (o options) fair(ctx context.Context, s *stack) ([]figure, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if s.record == "" {
		return nil, fmt.Errorf("bench: fair needs ClickHouse")
	}
	alone, err := s.besides(ctx, "alone", 3*time.Second)
	if err != nil {
		return nil, err
	}
	flooding, calm := context.WithTimeout(ctx, floodedFor+2*time.Second)
	defer calm()
	name, flooded := runName(), make(chan error, 1)
	go func() {
		flooded <- s.api.flood(flooding, floodConns, 1_000_000, "/v1/notifications:batch", func(i int) []byte {
			var b strings.Builder
			b.WriteString(`{"notifications":[`)
			for k := range 100 {
				if k > 0 {
					b.WriteByte(',')
				}
				b.Write(notification(fmt.Sprintf("%s-%d-%d", name, i, k), i*100+k, 1, o.devices))
			}
			b.WriteString("]}")
			return []byte(b.String())
		})
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(2 * time.Second): // by then a backlog has grown
	}
	during, err := s.besides(ctx, "flooded", floodedFor)
	if err != nil {
		return nil, err
	}
	calm()
	<-flooded // it ends with its time
	return []figure{
		of("an app's notification, API to provider, p99, nothing else to do", "ms", []float64{alone.p99}),
		of("an app's notification, API to provider, p99, while another app floods", "ms", []float64{during.p99}),
		of("  of these, p50", "ms", []float64{during.p50}),
	}, nil
}

// besides sends notifications of the second app at a steady rate.
func (s *stack) besides(ctx context.Context, name string, d time.Duration) (quantiles, error) {
	name = "beside-" + name + "-" + runName()
	_, err := s.beside.pace(ctx, floodedRate, d, "/v1/notifications", func(i int) []byte {
		return notification(fmt.Sprintf("%s-%d", name, i), i, 1, smallDevices)
	})
	if err != nil {
		return quantiles{}, err
	}
	return s.took(ctx, small, name, int(floodedRate*d.Seconds()))
}
