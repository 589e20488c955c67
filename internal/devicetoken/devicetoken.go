// Package devicetoken makes and checks the tokens that devices sign in with:
// short-lived JSON Web Tokens, signed with a secret of the device's app and
// bound to that app and device.
package devicetoken

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/push"
)

// ErrInvalid means that a token proves nothing: forged, for another app,
// expired, or no token at all. Any other error of [Tokens.Verify] says nothing
// about the token, but that the secrets could not be read.
var ErrInvalid = errors.New("device token is not valid")

// minSecret is what HS256 asks for: RFC 7518, section 3.2.
const minSecret = 32

// maxToken is far above what Mint makes for the longest names. A longer token
// is not worth decoding.
const maxToken = 4 << 10

// Secrets knows the secret that signs an app's tokens. Its error is
// [push.ErrNotFound] for an app that does not exist.
type Secrets interface {
	TokenSecret(ctx context.Context, app string) ([]byte, error)
}

// Config says how long tokens live.
type Config struct {
	// TTL is the life of a token. Default 24h. A token cannot be taken back
	// one by one, so this is also how long a lost one is good for.
	TTL time.Duration `yaml:"ttl"`

	// Leeway is how far the clocks of two Herald machines may differ. Default 30s.
	Leeway time.Duration `yaml:"leeway"`

	// KeepSecret is how long an app's secret stays in memory, and so how long
	// an old one is still taken after it was changed. Default 1m.
	KeepSecret time.Duration `yaml:"keep_secret"`
}

// DefaultConfig is what an empty device_tokens section of the config file means.
func DefaultConfig() Config {
	return Config{TTL: 24 * time.Hour, Leeway: 30 * time.Second, KeepSecret: time.Minute}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.TTL < time.Minute {
		errs = append(errs, fmt.Errorf("device_tokens.ttl: %v is less than 1m", c.TTL))
	}
	if c.Leeway < 0 {
		errs = append(errs, fmt.Errorf("device_tokens.leeway: %v is negative", c.Leeway))
	}
	if c.KeepSecret < 0 {
		errs = append(errs, fmt.Errorf("device_tokens.keep_secret: %v is negative", c.KeepSecret))
	}
	return errors.Join(errs...)
}

// Tokens mints and verifies device tokens. It is safe for concurrent use.
type Tokens struct {
	secrets *cache
	ttl     time.Duration
	leeway  time.Duration
	parser  *jwt.Parser
	proven  provenTokens
}

// New returns Tokens that sign with the apps' secrets.
func New(secrets Secrets, cfg Config) *Tokens {
	return &Tokens{
		secrets: newCache(secrets, cfg.KeepSecret),
		ttl:     cfg.TTL,
		leeway:  cfg.Leeway,
		parser: jwt.NewParser(
			// The algorithm is ours to name, never the token's: "none" and
			// tokens signed with something else are refused before any look.
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(cfg.Leeway),
		),
	}
}

// Mint returns a token that signs device in to app until expires. Its error is
// [push.ErrNotFound] for an unknown app; whether the device exists is not asked.
func (t *Tokens) Mint(ctx context.Context, app, device string) (token string, expires time.Time, err error) {
	if app == "" || device == "" {
		return "", time.Time{}, errors.New("devicetoken: mint: app and device must be named")
	}
	secret, err := t.secret(ctx, app)
	if err != nil {
		return "", time.Time{}, err
	}
	now := time.Now().UTC().Truncate(time.Second) // a claim counts whole seconds
	expires = now.Add(t.ttl)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject:   device,
		Audience:  jwt.ClaimStrings{app},
		IssuedAt:  jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(expires),
	}).SignedString(secret)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("devicetoken: mint for app %s: %w", app, err)
	}
	return token, expires, nil
}

// Verify returns the app and the device that token was minted for. Its error is
// [ErrInvalid] for a token that proves nothing. Whatever else comes is the
// error of the secrets' store, such as [push.ErrAway]: let the device try again.
func (t *Tokens) Verify(ctx context.Context, token string) (app, device string, err error) {
	key := sha256.Sum256([]byte(token))
	if known, ok := t.proven.get(key); ok && time.Now().Before(known.until.Add(t.leeway)) {
		secret, err := t.secret(ctx, known.app)
		if err == nil && bytes.Equal(secret, known.secret) { // else it is looked at anew, which says what is wrong
			return known.app, known.device, nil
		}
	}
	known, err := t.prove(ctx, token)
	if err == nil {
		t.proven.put(key, known)
	}
	return known.app, known.device, err
}

// VerifyUntil is [Tokens.Verify] and tells when the token runs out. It remembers
// nothing: a connection shows its token once, and there are very many.
func (t *Tokens) VerifyUntil(ctx context.Context, token string) (app, device string, until time.Time, err error) {
	known, err := t.prove(ctx, token)
	return known.app, known.device, known.until, err
}

// prove reads a token.
func (t *Tokens) prove(ctx context.Context, token string) (known provenToken, err error) {
	if len(token) > maxToken {
		return known, fmt.Errorf("devicetoken: %w: longer than %d bytes", ErrInvalid, maxToken)
	}
	var proof []byte
	var claims jwt.RegisteredClaims
	var storeErr error
	_, err = t.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) {
		if claims.Subject == "" || len(claims.Audience) != 1 {
			return nil, ErrInvalid
		}
		secret, err := t.secret(ctx, claims.Audience[0])
		if err != nil && !errors.Is(err, push.ErrNotFound) {
			storeErr = err
		}
		proof = secret
		return secret, err
	})
	if storeErr != nil {
		return known, storeErr
	}
	if err != nil {
		return known, fmt.Errorf("devicetoken: %w: %s", ErrInvalid, reason(err))
	}
	return provenToken{claims.Audience[0], claims.Subject, claims.ExpiresAt.Time, proof}, nil
}

func (t *Tokens) secret(ctx context.Context, app string) ([]byte, error) {
	secret, err := t.secrets.get(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("devicetoken: secret of app %s: %w", app, err)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("devicetoken: secret of app %s has %d bytes, fewer than %d", app, len(secret), minSecret)
	}
	return secret, nil
}

// reason says what is wrong with a token in our own words: those of the parser
// may quote the token.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "it has expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "its time has not come: check the clocks"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "its signature is wrong"
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "it is no token"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "it never expires"
	default:
		return "it names no app or device of ours"
	}
}
