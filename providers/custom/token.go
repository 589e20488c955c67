package custom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	fetchTimeout = 10 * time.Second // of one request for a token
	lastMoment   = 20 * time.Second // before the end of a token it serves no more
	fetchPause   = time.Second      // after a failed fetch; its error serves meanwhile
	young        = time.Minute      // a token refused at this age is not simply old
	lifetime     = 30 * time.Minute // of a token of which the service does not say
	maxToken     = 64 << 10         // bytes of the answer that are read
)

// authConfig is how an access token is fetched. Templates find it at .Access.
type authConfig struct {
	requestConfig
	Endpoint string `json:"endpoint"`         // default: the one of messages
	Token    string `json:"token"`            // path to the token
	Expires  string `json:"expires"`          // path to its end: seconds from now, or since 1970 in seconds or milliseconds
	Lifetime int    `json:"lifetime_seconds"` // where the answer does not say
}

// auth is a compiled authConfig.
type auth struct {
	request  *request
	token    path
	expires  path // nil if the answer does not say
	lifetime time.Duration
}

// tokens keeps the access token. A caller waits for a fetch no longer than its
// own context lasts.
type tokens struct {
	auth    *auth
	answers *answers // the same table of codes serves
	vars    map[string]string
	client  *http.Client

	mu     sync.Mutex
	token  string
	since  time.Time // when token came
	until  time.Time // when it ends
	err    error     // of the last fetch
	errAt  time.Time
	flight chan struct{} // closed when the fetch under way ends; nil if none is
}

// get returns a token that is good for the next request. Its error is a
// *push.Error: nothing has been sent.
func (t *tokens) get(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		left, early := time.Until(t.until), t.until.Sub(t.since)/10
		if t.token != "" && left > early {
			defer t.mu.Unlock()
			return t.token, nil
		}
		resting := t.err != nil && time.Since(t.errAt) < fetchPause
		if t.flight == nil && !resting && ctx.Err() == nil {
			t.flight = make(chan struct{})
			go t.fetch(t.flight)
		}
		if t.token != "" && left > min(lastMoment, early/2) {
			defer t.mu.Unlock()
			return t.token, nil
		}
		if resting {
			defer t.mu.Unlock()
			return "", t.err
		}
		flight := t.flight
		t.mu.Unlock()

		select {
		case <-flight: // nil if ctx was done before a fetch could begin
		case <-ctx.Done():
			return "", &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token in time", Err: ctx.Err()}
		}
	}
}

// fetch gets a token for all who wait. It ends within fetchTimeout.
func (t *tokens) fetch(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	token, life, err := t.ask(ctx)

	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	if err != nil {
		t.errAt = time.Now()
	} else {
		t.token, t.since = token, time.Now()
		t.until = t.since.Add(life)
	}
	t.flight = nil
	close(flight)
}

// drop forgets a token that was refused. It reports false if the token was
// young: then a new one would be refused too.
func (t *tokens) drop(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != token {
		return true // somebody has seen to it
	}
	t.token = ""
	return time.Since(t.since) >= young
}

// ask makes one request for a token.
func (t *tokens) ask(ctx context.Context) (token string, life time.Duration, err error) {
	s := &scope{Now: time.Now().UTC(), Vars: t.vars}
	content, err := t.auth.request.content(s)
	if err != nil {
		return "", 0, err
	}
	req, err := t.auth.request.request(ctx, s, content)
	if err != nil {
		return "", 0, err
	}
	res, err := t.client.Do(req)
	if err != nil { // its text may hold the address, and the address a secret
		return "", 0, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token: the service cannot be reached"}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxToken))
	if err != nil {
		return "", 0, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token: the answer was cut off"}
	}
	return t.read(res.StatusCode, body, s.Now)
}

// read finds the token in an answer. What the service wrote stays out of the
// error, for it may repeat what it was sent.
func (t *tokens) read(status int, body []byte, now time.Time) (string, time.Duration, error) {
	v, err := decode(body)
	if token, ok := t.auth.token.word(v); err == nil && ok && token != "" && status/100 == 2 {
		return token, t.auth.life(v, now), nil
	}
	e := &push.Error{Provider: name, Kind: push.ErrUnavailable, Code: strconv.Itoa(status), Detail: "no access token"}
	found := verdict{status: status, body: v}
	t.answers.explain(&found)
	switch {
	case found.found && !found.row.Renew:
		e = found.refusal(nil)
		if !push.Retryable(e) && !errors.Is(e, push.ErrQuota) {
			e.Kind = push.ErrCredentials // no message has a part in it
		}
		e.Detail = "no access token: " + either(found.row.Means, found.row.Kind)
	case err == nil && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		e.Kind, e.Detail = push.ErrCredentials, fmt.Sprintf("the service gives no access token (status %d)", status)
	}
	return "", 0, e
}

// life is how long a token lasts. Small numbers are seconds, larger ones times
// since 1970: in seconds, or in milliseconds.
func (a *auth) life(answer any, now time.Time) time.Duration {
	word, _ := a.expires.word(answer)
	n, err := strconv.ParseFloat(word, 64)
	life := a.lifetime
	switch {
	case a.expires == nil || err != nil || n <= 0:
	case n > 1e11:
		life = time.UnixMilli(int64(n)).Sub(now)
	case n > 1e9:
		life = time.Unix(int64(n), 0).Sub(now)
	default:
		life = time.Duration(n * float64(time.Second))
	}
	return min(max(life, time.Second), 30*24*time.Hour)
}
