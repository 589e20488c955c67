package devicetoken

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/push"
)

var (
	demoSecret  = bytes.Repeat([]byte("demo"), 8)
	otherSecret = bytes.Repeat([]byte("othr"), 8)
)

// apps is a store of two apps that counts how often it is asked.
type apps struct {
	asked atomic.Int64
	away  atomic.Bool
}

func (a *apps) TokenSecret(_ context.Context, app string) ([]byte, error) {
	a.asked.Add(1)
	switch {
	case a.away.Load():
		return nil, push.ErrAway
	case app == "demo":
		return demoSecret, nil
	case app == "other":
		return otherSecret, nil
	case app == "weak":
		return []byte("short"), nil
	default:
		return nil, push.ErrNotFound
	}
}

func TestVerifyNamesAppAndDeviceOfAMintedToken(t *testing.T) {
	tokens := New(&apps{}, DefaultConfig())
	before := time.Now()
	token, expires, err := tokens.Mint(t.Context(), "demo", "phone-1")
	if err != nil {
		t.Fatal(err)
	}
	if life := expires.Sub(before); life < 23*time.Hour || life > 24*time.Hour {
		t.Errorf("Mint() expires in %v, want 24h", life)
	}
	app, device, err := tokens.Verify(t.Context(), token)
	if app != "demo" || device != "phone-1" || err != nil {
		t.Errorf("Verify() = %q, %q, %v; want demo, phone-1", app, device, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := time.Now()
	good := jwt.MapClaims{"sub": "d", "aud": "demo", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	with := func(changes map[string]any) jwt.MapClaims {
		c := maps.Clone(good)
		for k, v := range changes {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	hs256 := func(changes map[string]any) string { return sign(jwt.SigningMethodHS256, demoSecret, with(changes)) }
	plain := hs256(nil)

	tests := map[string]string{
		"no token":                         "",
		"not a token":                      "planted-secret",
		"signature cut off":                plain[:strings.LastIndexByte(plain, '.')+1],
		"signed with another app's secret": sign(jwt.SigningMethodHS256, otherSecret, good),
		"moved to another app":             sign(jwt.SigningMethodHS256, demoSecret, with(map[string]any{"aud": "other"})),
		"another algorithm":                sign(jwt.SigningMethodHS512, demoSecret, good),
		"no algorithm":                     sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good),
		"expired beyond the leeway":        hs256(map[string]any{"exp": now.Add(-time.Minute).Unix()}),
		"never expires":                    hs256(map[string]any{"exp": nil}),
		"not valid yet":                    hs256(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"issued tomorrow":                  hs256(map[string]any{"iat": now.Add(24 * time.Hour).Unix()}),
		"names no device":                  hs256(map[string]any{"sub": nil}),
		"names no app":                     hs256(map[string]any{"aud": nil}),
		"names two apps":                   hs256(map[string]any{"aud": []string{"demo", "other"}}),
		"names an unknown app":             hs256(map[string]any{"aud": "nobody"}),
		"claims of the wrong shape":        hs256(map[string]any{"exp": "soon"}),
		"longer than any token":            plain + strings.Repeat("x", maxToken),
	}
	tokens := New(&apps{}, DefaultConfig())
	if _, _, err := tokens.Verify(t.Context(), plain); err != nil {
		t.Fatalf("the token that the others are made from is refused: %v", err)
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			app, device, err := tokens.Verify(t.Context(), token)
			if !errors.Is(err, ErrInvalid) || app != "" || device != "" {
				t.Errorf("Verify() = %q, %q, %v; want ErrInvalid", app, device, err)
			}
			if err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "demodemo") ||
				len(token) > 10 && strings.Contains(err.Error(), token)) {
				t.Errorf("Verify() error repeats a secret: %v", err)
			}
		})
	}
}

func TestTokenLivesUntilItsTimeAndTheLeewayHavePassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := New(&apps{}, Config{TTL: time.Hour, Leeway: 30 * time.Second, KeepSecret: time.Minute})
		token, _, err := tokens.Mint(t.Context(), "demo", "d")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + 20*time.Second)
		if _, _, err := tokens.Verify(t.Context(), token); err != nil {
			t.Errorf("within the leeway: %v", err)
		}
		time.Sleep(15 * time.Second)
		if _, _, err := tokens.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("after the leeway: %v, want ErrInvalid", err)
		}
	})
}

func TestSecretsAreAskedForOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &apps{}
		tokens := New(store, DefaultConfig())
		token, _, err := tokens.Mint(t.Context(), "demo", "d")
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, _, err := tokens.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.asked.Load(); n != 1 {
			t.Errorf("asked %d times within a minute, want 1", n)
		}
		time.Sleep(61 * time.Second)
		store.away.Store(true)
		_, _, err = tokens.Verify(t.Context(), token)
		if !errors.Is(err, push.ErrAway) || errors.Is(err, ErrInvalid) {
			t.Errorf("with the store away Verify() = %v; want ErrAway and not ErrInvalid", err)
		}
	})
}

func TestMintRefuses(t *testing.T) {
	tests := map[string]struct {
		app, device string
		want        error // nil for any
	}{
		"an unknown app":          {"nobody", "d", push.ErrNotFound},
		"no app":                  {"", "d", nil},
		"no device":               {"demo", "", nil},
		"a secret that is a joke": {"weak", "d", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := New(&apps{}, DefaultConfig()).Mint(t.Context(), tt.app, tt.device)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Mint() error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{TTL: time.Second, Leeway: -1, KeepSecret: -1}.Validate()
	for _, key := range []string{"device_tokens.ttl", "device_tokens.leeway", "device_tokens.keep_secret"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate() = %v, want it to name %s", err, key)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}
