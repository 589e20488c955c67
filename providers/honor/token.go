package honor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	fetchTimeout = 10 * time.Second // of one request to the token endpoint
	refreshEarly = 5 * time.Minute  // before the end of a token, while it still serves
	lastMoment   = 20 * time.Second // before the end of a token it serves no more
	usualLife    = time.Hour        // where the endpoint does not say
	maxAnswer    = 64 << 10         // of the token endpoint

	// fetchPause follows a failed fetch; its error serves meanwhile.
	fetchPause = time.Second
	// young is a token that, if refused, is not simply old: another would be
	// refused too. It is kept that long, so that there is one fetch a minute.
	young = time.Minute
)

// tokens keeps the access token of an OAuth client. One caller's fetch serves
// all, and no caller waits for it longer than its own context lasts.
type tokens struct {
	address string
	form    url.Values // of the request for a token
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
		token, flight, err := t.look()
		if flight == nil {
			return token, err
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return "", &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token in time", Err: ctx.Err()}
		}
	}
}

// look returns what there is now, or the flight to wait for. It begins a fetch
// where one is due.
func (t *tokens) look() (token string, flight <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := time.Duration(0)
	if t.token != "" {
		left = time.Until(t.until)
	}
	if left > refreshEarly {
		return t.token, nil, nil
	}
	resting := t.err != nil && time.Since(t.errAt) < fetchPause
	if t.flight == nil && !resting {
		t.flight = make(chan struct{})
		go t.fetch(t.flight)
	}
	switch {
	case left > lastMoment:
		return t.token, nil, nil
	case resting:
		return "", nil, t.err
	default:
		return "", t.flight, nil
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

// ask requests a token. What the endpoint wrote stays out of the error, for it
// may repeat what it was sent.
func (t *tokens) ask(ctx context.Context) (token string, life time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.address, strings.NewReader(t.form.Encode()))
	if err != nil {
		return "", 0, noToken(push.ErrCredentials, "", "the token endpoint has no address")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := t.client.Do(req)
	if err != nil {
		e := noToken(push.ErrUnavailable, "", "no access token")
		if u, ok := errors.AsType[*url.Error](err); ok {
			e.Err = u.Err
		}
		return "", 0, e
	}
	defer res.Body.Close()
	code := strconv.Itoa(res.StatusCode)
	switch s := res.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		return "", 0, noToken(push.ErrUnavailable, code, "no access token")
	case s >= 400:
		return "", 0, noToken(push.ErrCredentials, code, "the token endpoint refuses the client")
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"` // seconds
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer)
	if err != nil || answer.AccessToken == "" {
		return "", 0, noToken(push.ErrUnavailable, code, "the token endpoint gives no token")
	}
	life = time.Duration(answer.ExpiresIn) * time.Second
	if life <= 0 || life > 24*usualLife {
		life = usualLife
	}
	return answer.AccessToken, life, nil
}

// drop forgets a token that was refused. It reports false, and keeps the token,
// if it was young: then a new one would be refused too.
func (t *tokens) drop(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != token {
		return true // somebody has seen to it
	}
	if time.Since(t.since) < young {
		return false
	}
	t.token = ""
	return true
}

func noToken(kind error, code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: kind, Code: code, Detail: detail}
}
