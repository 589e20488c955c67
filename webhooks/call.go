package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/publicnet"
	"github.com/herald-push/herald/push"
)

// maxAnswer is how much of an answer is read: what was asked for is short.
const maxAnswer = 64 << 10

// answer is what came of one call.
type answer struct {
	push.WebhookTry
	body  []byte
	gone  bool          // 410: the endpoint wants no more
	wait  time.Duration // Retry-After
	cause error
}

// call makes one signed call to an endpoint.
func (h *Hooks) call(ctx context.Context, e *endpoint, id string, body []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	began := h.now()
	a := h.exchange(ctx, e, id, body, began)
	a.TookMs = h.now().Sub(began).Milliseconds()
	h.metrics.called(&a)
	return a
}

func (h *Hooks) exchange(ctx context.Context, e *endpoint, id string, body []byte, now time.Time) (a answer) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		a.Error = "the URL cannot be called"
		return a
	}
	signatures := make([]string, 0, 2)
	for _, s := range e.signers(now) {
		signature, err := s.Sign(id, now, body)
		if err != nil {
			a.Error = "the call cannot be signed"
			return a
		}
		signatures = append(signatures, signature)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Herald")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	res, err := h.client.Do(r)
	if err != nil {
		a.cause, a.Error = err, inWords(err)
		return a
	}
	defer func() { _ = res.Body.Close() }() // it was read as far as it matters
	a.Status = res.StatusCode
	a.body, _ = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode/100 == 2:
		a.OK = true
	case res.StatusCode == http.StatusGone:
		a.gone, a.Error = true, "410: the endpoint wants no more calls"
	case res.StatusCode/100 == 3:
		a.Error = fmt.Sprintf("%d: redirects are not followed", res.StatusCode)
	default:
		a.Error = strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	}
	a.wait = retryAfter(res.Header.Get("Retry-After"), now)
	return a
}

// maxRetryAfter bounds what an endpoint may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads seconds or a date; 0 if there is neither.
func retryAfter(text string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(text); err == nil && s > 0 {
		return min(time.Duration(min(s, int(maxRetryAfter.Seconds())))*time.Second, maxRetryAfter)
	}
	if t, err := http.ParseTime(text); err == nil && t.After(now) {
		return min(t.Sub(now), maxRetryAfter)
	}
	return 0
}

// inWords tells why no answer came, without the URL, which may hold a secret.
func inWords(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, publicnet.ErrPrivate):
		return publicnet.ErrPrivate.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time"
	case errors.Is(err, context.Canceled):
		return "cut off"
	case errors.As(err, &dns):
		return "the name of its host was not found"
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// TestWebhook calls an endpoint at once, enabled or not, and tells what came of
// it. Nothing is repeated.
func (h *Hooks) TestWebhook(ctx context.Context, app, id string) (push.WebhookTry, error) {
	e, err := h.one(ctx, app, id)
	if err != nil {
		return push.WebhookTry{}, err
	}
	now := h.now()
	event := push.Event{
		ID: "evt_" + newID()[3:], Type: push.EventTest, At: now.UTC(),
		Data: map[string]string{"app": app, "webhook": id, "text": "It works: this call comes from Herald."},
	}
	body, err := json.Marshal(event)
	if err != nil {
		return push.WebhookTry{}, fmt.Errorf("webhooks: test: %w", err)
	}
	return h.call(ctx, e, event.ID, body).WebhookTry, nil
}

// one reads an endpoint with its secrets.
func (h *Hooks) one(ctx context.Context, app, id string) (*endpoint, error) {
	const query = `SELECT ` + columns + `, secret, old_secret FROM webhooks WHERE app = $1 AND id = $2`
	if _, err := h.Webhook(ctx, app, id); err != nil {
		return nil, err
	}
	w, secret, old, err := scanRow(h.db.Read().QueryRow(ctx, query, app, id).Scan, true)
	if err != nil {
		return nil, fail("endpoint of app "+app, err)
	}
	e := h.open(ctx, w, secret, old)
	if e == nil {
		return nil, fmt.Errorf("webhooks: the secret of %s does not open", id)
	}
	return e, nil
}

// Ask puts a question to the endpoints of an app that want to be asked, at once
// and all together, and returns their answers, each a JSON text. Nothing is
// repeated: an endpoint that does not answer until ctx ends is an error, and the
// caller decides what that means.
func (h *Hooks) Ask(ctx context.Context, event push.Event) ([]json.RawMessage, error) {
	event.At = event.At.UTC()
	body, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("webhooks: ask: %w", err)
	}
	var asked []*endpoint
	for _, e := range h.known.Load().byApp[event.App] {
		if e.Takes(event.Type) {
			asked = append(asked, e)
		}
	}
	answers := make(chan answer, len(asked))
	for _, e := range asked {
		go func() { answers <- h.call(ctx, e, event.ID, body) }()
	}
	var all []json.RawMessage
	var errs []error
	for range asked {
		a := <-answers
		switch {
		case !a.OK:
			errs = append(errs, fmt.Errorf("webhooks: ask %s: %s: %w", event.Type, a.Error, push.ErrAway))
		case !json.Valid(a.body):
			errs = append(errs, fmt.Errorf("webhooks: ask %s: the answer is not JSON", event.Type))
		default:
			all = append(all, a.body)
		}
	}
	return all, errors.Join(errs...)
}
