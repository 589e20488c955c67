package providers

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// usualLife is an access token's where the endpoint does not say, or says what
// cannot be.
const usualLife = time.Hour

// OAuthForm gets access tokens with an OAuth client's id and secret, sent as a
// form: the client credentials grant of RFC 6749, section 4.4. Its Fetch is one
// for [Tokens].
type OAuthForm struct {
	Provider     string // registry name, for errors
	Address      string // of the token endpoint
	ClientID     string
	ClientSecret string
	Transport    http.RoundTripper
}

// Fetch requests a token. The error is [push.ErrCredentials] if the endpoint
// refuses the client. What the endpoint wrote stays out of it, for that may
// repeat what it was sent.
func (o *OAuthForm) Fetch(ctx context.Context) (token string, life time.Duration, err error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {o.ClientID}, "client_secret": {o.ClientSecret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, o.failure(push.ErrCredentials, "", "the token endpoint has no address")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the secret goes nowhere else
	}}
	res, err := client.Do(req)
	if err != nil {
		e := o.failure(push.ErrUnavailable, "", "no access token")
		e.Err = bare(err)
		return "", 0, e
	}
	defer res.Body.Close()
	code := strconv.Itoa(res.StatusCode)
	switch s := res.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		return "", 0, o.failure(push.ErrUnavailable, code, "no access token")
	case s >= 400:
		return "", 0, o.failure(push.ErrCredentials, code, "the token endpoint refuses the client")
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"` // seconds
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer)
	if err != nil || answer.AccessToken == "" {
		return "", 0, o.failure(push.ErrUnavailable, code, "the token endpoint gives no token")
	}
	life = time.Duration(answer.ExpiresIn) * time.Second
	if life <= 0 || life > 24*usualLife {
		life = usualLife
	}
	return answer.AccessToken, life, nil
}

func (o *OAuthForm) failure(kind error, code, detail string) *push.Error {
	return &push.Error{Provider: o.Provider, Kind: kind, Code: code, Detail: detail}
}
