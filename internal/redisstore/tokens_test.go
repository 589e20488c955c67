package redisstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/internal/seal"
)

const sealingKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func tokensAt(t *testing.T, url string) *Tokens {
	t.Helper()
	rdb, err := Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	keys, err := seal.Parse(sealingKey)
	if err != nil {
		t.Fatal(err)
	}
	return NewTokens(rdb, keys)
}

func TestTokenIsKeptSealedUntilItsEnd(t *testing.T) {
	srv := redistest.Start(t)
	ts, other := tokensAt(t, srv.URL()), tokensAt(t, srv.URL())
	ctx := t.Context()
	since := time.Now().UTC().Truncate(time.Millisecond)
	if err := ts.Keep(ctx, "demo/fcm/1", "s3cret-token", since, since.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	token, from, end, err := other.Token(ctx, "demo/fcm/1")
	if err != nil || token != "s3cret-token" || !from.Equal(since) || !end.Equal(since.Add(time.Hour)) {
		t.Errorf("Token() = %q, %v, %v, %v", token, from, end, err)
	}
	if token, _, _, err := other.Token(ctx, "demo/fcm/2"); token != "" || err != nil {
		t.Errorf("of other credentials: %q, %v, want nothing", token, err)
	}
	raw := ts.rdb.Get(ctx, tokenKey("demo/fcm/1")).Val()
	if raw == "" || strings.Contains(raw, "s3cret") {
		t.Errorf("Redis has %q, want it sealed", raw)
	}
	if left := ts.rdb.PTTL(ctx, tokenKey("demo/fcm/1")).Val(); left <= 59*time.Minute || left > time.Hour {
		t.Errorf("it is kept for %v, want until its end", left)
	}
	// What is moved to another name, or was sealed by another, opens for nobody.
	ts.rdb.Set(ctx, tokenKey("demo/fcm/2"), raw, 0)
	if token, _, _, err := ts.Token(ctx, "demo/fcm/2"); token != "" || err != nil {
		t.Errorf("a copy under another key: %q, %v, want nothing", token, err)
	}
}

func TestOneProcessAtATimeHasTheTurn(t *testing.T) {
	srv := redistest.Start(t)
	a, b := tokensAt(t, srv.URL()), tokensAt(t, srv.URL())
	turn := func(ts *Tokens) func(time.Duration) {
		t.Helper()
		done, err := ts.Turn(context.Background(), "demo/fcm/1", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	done := turn(a)
	if done == nil || turn(b) != nil {
		t.Fatal("the first has no turn, or the second has one too")
	}
	done(0)
	if done = turn(b); done == nil {
		t.Fatal("a turn that was given back is not to be had")
	}
	done(time.Minute)
	if turn(a) != nil {
		t.Error("a turn that ends later is to be had now")
	}
	srv.Kill()
	if _, err := a.Turn(context.Background(), "demo/fcm/1", time.Minute); err == nil {
		t.Error("Redis is away and nobody says so")
	}
}
