// Package client sends notifications through Herald and asks what became of
// them.
//
//	herald := client.Client{URL: "https://push.example.com", Key: os.Getenv("HERALD_KEY")}
//	progress, err := herald.Send(ctx, client.Notification{
//		ID:    "order-8812-shipped",
//		To:    client.Audience{Device: "phone-1"},
//		Title: "Shipped",
//	})
//
// Whatever Herald refuses is a [*Problem] with a code and the faulty fields.
// It has no dependencies outside the standard library.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	defaultTries   = 4
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // bytes

	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
)

// Client speaks to one Herald with one key. It is safe for concurrent use; its
// fields must not change once it is in use.
type Client struct {
	// URL is where Herald answers, such as "https://push.example.com".
	URL string
	// Key is an API key, or for [Client.Receipts] a device's token.
	Key string

	// Tries is how often a request is made in all when the network fails or
	// Herald says 429 or 503. Nothing is queued twice by it. Default 4; 1 means
	// no second try.
	Tries int
	// HTTP makes the requests. Default: a client with a timeout of 30 s. Who
	// sends much gives one whose transport keeps more than two idle connections.
	HTTP *http.Client
}

// call makes a request as often as it takes and decodes the answer into out,
// which may be nil. Every request of this package may be repeated: it names by
// id what it is about.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("client: %s %s: %w", method, path, err)
		}
	}
	for try := 1; ; try++ {
		again, err := c.try(ctx, method, path, body, out)
		if err == nil {
			return nil
		}
		if method == http.MethodDelete && try > 1 && out == nil && isGone(err) {
			return nil // the try whose answer was lost had done it
		}
		if !again || try >= c.tries() || !pause(ctx, try, err) {
			return err
		}
	}
}

// ask is call with the answer as a value.
func ask[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.call(ctx, method, path, in, &out)
	return out, err
}

func (c *Client) tries() int {
	if c.Tries < 1 {
		return defaultTries
	}
	return c.Tries
}

// try makes one request; again says that another could succeed.
func (c *Client) try(ctx context.Context, method, path string, body []byte, out any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("client: %s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http().Do(req)
	if err != nil {
		return ctx.Err() == nil, fmt.Errorf("client: %w", err)
	}
	defer res.Body.Close()

	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return ctx.Err() == nil, fmt.Errorf("client: %s %s: read the answer: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return retryable(res.StatusCode), problem(res, raw)
	}
	if out == nil {
		return false, nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return false, fmt.Errorf("client: %s %s: the answer is not Herald's: %w", method, path, err)
	}
	return false, nil
}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Timeout: defaultTimeout}
}

// retryable holds for what Herald, or a proxy before it, says when it could
// not take a request just now.
func retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func isGone(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// pause waits before another try: as long as Herald asked for, or twice as
// long as before, in either case not beyond what ctx allows. The random part
// keeps many clients from coming back together.
func pause(ctx context.Context, try int, err error) bool {
	wait := min(firstPause<<(try-1), maxPause)
	wait = wait/2 + rand.N(wait/2)
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		wait = p.RetryAfter + rand.N(firstPause)
	}
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) < wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
