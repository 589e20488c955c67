package webpush

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/herald-push/herald/push"
)

// Check implements [providers.Checker]. A push service knows no app before one
// of its browsers has subscribed, so there is nobody to ask: a message is made
// for a browser of our own, and its token is read as a service would.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	browser, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", refusedKeys("no message can be encrypted", err)
	}
	var made caught
	_, err = library.SendNotificationWithContext(ctx, []byte("{}"), &library.Subscription{
		Endpoint: "https://push.example/check",
		Keys:     library.Keys{P256dh: encoded(browser.PublicKey().Bytes()), Auth: encoded(make([]byte, 16))},
	}, &library.Options{
		HTTPClient: &made, Subscriber: p.config.subscriber,
		VAPIDPublicKey: p.config.PublicKey, VAPIDPrivateKey: p.config.PrivateKey,
	})
	if err != nil {
		return "", refusedKeys("the keys sign no token", err)
	}
	if !p.config.signed(made.authorization) {
		return "", refusedKeys("the public key does not verify what the private key signs", nil)
	}
	return "its keys sign what a browser's service verifies; there is none to ask before a browser subscribes", nil
}

// signed reports whether an Authorization header, "vapid t=…, k=…", has a token
// that the public key verifies.
func (c *config) signed(authorization string) bool {
	token, _, _ := strings.Cut(strings.TrimPrefix(authorization, "vapid t="), ",")
	end := strings.LastIndexByte(token, '.')
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), decode(c.PublicKey))
	if end < 0 || err != nil {
		return false
	}
	signature, digest := decode(token[end+1:]), sha256.Sum256([]byte(token[:end]))
	if len(signature) != 64 { // RFC 7518, section 3.4
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(public, digest[:], r, s)
}

// caught takes a request in a service's place.
type caught struct{ authorization string }

func (c *caught) Do(req *http.Request) (*http.Response, error) {
	c.authorization = req.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody, Request: req}, nil
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func refusedKeys(detail string, err error) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: detail, Err: err}
}
