package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// caller posts to a running Herald the way a business service would: over a
// handful of kept connections.
type caller struct {
	url, key string
	http     *http.Client
}

func newCaller(url, key string, conns int) *caller {
	return &caller{url: url, key: key, http: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns},
	}}
}

// do sends one request and returns the answer's body. A status of 300 or more
// is an error that quotes it.
func (c *caller) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("bench: %s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("bench: %s %s: %s: %.300s", method, path, res.Status, answer)
	}
	return answer, nil
}

// flood posts n bodies over conns connections, each as soon as the one before
// is answered, and stops at the first error.
func (c *caller) flood(ctx context.Context, conns, n int, path string, body func(i int) []byte) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range conns {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if _, err := c.do(ctx, http.MethodPost, path, body(i)); err != nil {
					stop(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// pace posts at a fixed rate for a time and returns every answer's latency,
// counted from the moment the request was due: a server that stalls pays for
// all who would have come meanwhile.
func (c *caller) pace(ctx context.Context, perSecond float64, d time.Duration, path string, body func(i int) []byte) ([]time.Duration, error) {
	n := int(perSecond * d.Seconds())
	took := make([]time.Duration, n)
	start := time.Now()
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for i := range n {
		due := start.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
		time.Sleep(time.Until(due))
		group.Go(func() {
			if _, err := c.do(ctx, http.MethodPost, path, body(i)); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			took[i] = time.Since(due)
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	slices.Sort(took)
	return took, nil
}

// percentile reads a sorted list.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
