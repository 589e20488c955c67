package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sealer makes secrets unreadable for everyone without its key, and opens them
// for the same app and purpose alone.
type Sealer interface {
	Seal(secret []byte, app, what string) []byte
	Open(sealed []byte, app, what string) ([]byte, error)
}

// Tokens keeps access tokens for all processes, sealed: a token is as good as
// the credentials it was got with, for as long as it lasts. It is safe for
// concurrent use.
type Tokens struct {
	rdb  redis.UniversalClient
	keys Sealer
}

// NewTokens keeps tokens in rdb, sealed with keys.
func NewTokens(rdb redis.UniversalClient, keys Sealer) *Tokens { return &Tokens{rdb, keys} }

// keptToken is what is sealed.
type keptToken struct {
	Token string    `json:"token"`
	Since time.Time `json:"since"`
	End   time.Time `json:"end"`
}

// tokenPurpose is what a token is sealed for: the key says which it is.
const tokenPurpose = "access token"

// Token returns what is kept under a key with its times; "" for nothing. What
// was sealed with a key that we do not hold is as good as nothing.
func (t *Tokens) Token(ctx context.Context, key string) (token string, since, end time.Time, err error) {
	sealed, err := t.rdb.Get(ctx, tokenKey(key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return "", since, end, nil
	}
	if err != nil {
		return "", since, end, fmt.Errorf("redisstore: read a token: %w", away(err))
	}
	var kept keptToken
	text, err := t.keys.Open(sealed, key, tokenPurpose)
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return "", since, end, nil
	}
	return kept.Token, kept.Since, kept.End, nil
}

// Keep keeps a token until its end.
func (t *Tokens) Keep(ctx context.Context, key, token string, since, end time.Time) error {
	left := time.Until(end)
	if left < time.Millisecond {
		return nil
	}
	text, err := json.Marshal(keptToken{token, since, end})
	if err != nil {
		return fmt.Errorf("redisstore: encode a token: %w", err)
	}
	if err := t.rdb.Set(ctx, tokenKey(key), t.keys.Seal(text, key, tokenPurpose), left).Err(); err != nil {
		return fmt.Errorf("redisstore: keep a token: %w", away(err))
	}
	return nil
}

// giveBack ends a turn after a while, if it still is that one.
var giveBack = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

// Turn gives one process at a time the right to fetch the token of a key, for so
// long at most. done gives it back after a while; it is nil if it is another's
// turn.
func (t *Tokens) Turn(ctx context.Context, key string, lasting time.Duration) (done func(after time.Duration), err error) {
	mine := rand.Text()
	err = t.rdb.SetArgs(ctx, turnKey(key), mine, redis.SetArgs{Mode: "NX", TTL: lasting}).Err()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: take a turn: %w", away(err))
	}
	return func(after time.Duration) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = giveBack.Run(ctx, t.rdb, []string{turnKey(key)}, mine, after.Milliseconds()).Err() // it ends by itself
	}, nil
}
