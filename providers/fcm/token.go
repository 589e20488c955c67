package fcm

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/herald-push/herald/push"
)

// usualLife is an access token's where the endpoint does not say; Google's last
// an hour.
const usualLife = 30 * time.Minute

// grant gets access tokens for a service account.
type grant struct {
	oauth  *jwt.Config
	client *http.Client
}

// fetch requests a token, as providers.Tokens wants it.
func (g *grant) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	t, err := g.oauth.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, g.client)).Token()
	switch {
	case err != nil:
		return "", 0, tokenError(err)
	case t.AccessToken == "":
		return "", 0, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the token endpoint gives no token"}
	case t.Expiry.IsZero():
		return t.AccessToken, usualLife, nil
	default:
		return t.AccessToken, time.Until(t.Expiry), nil
	}
}

// tokenError sorts what the token endpoint said. What it wrote stays out of the
// error, for it may repeat what it was sent.
func tokenError(err error) *push.Error {
	e := &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no access token"}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		e.Err = err
		return e
	}
	e.Code = strconv.Itoa(refused.Response.StatusCode)
	if s := refused.Response.StatusCode; s >= 400 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout {
		e.Kind, e.Detail = push.ErrCredentials, "the token endpoint refuses the service account"
	}
	return e
}
