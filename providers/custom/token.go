package custom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	lifetime = 30 * time.Minute // of a token of which the service does not say
	maxToken = 64 << 10         // bytes of the answer that are read
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

// tokens fetches access tokens as the configuration says.
type tokens struct {
	auth    *auth
	answers *answers // the same table of codes serves
	vars    map[string]string
	client  *http.Client
}

// ask makes one request for a token, as [providers.Tokens] wants it.
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
