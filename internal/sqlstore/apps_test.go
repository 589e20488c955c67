package sqlstore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestAppsAreMadeOnceAndChangedByPut(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		sms := push.Policy{SMSClasses: []push.Class{push.OTP, push.Call}}
		secret, err := s.TokenSecret(t.Context(), "demo")
		if err != nil || len(secret) != 32 {
			t.Fatalf("TokenSecret() = %d bytes, %v; want 32", len(secret), err)
		}
		steps := []struct {
			name string
			do   func() error
			want push.App
		}{
			{
				"create again", func() error { return s.CreateApp(t.Context(), push.App{ID: "demo", Name: "x", Policy: sms}) },
				push.App{ID: "demo", Name: "DEMO", Policy: push.Policy{SMSClasses: []push.Class{}}},
			},
			{
				"put", func() error { return s.PutApp(t.Context(), push.App{ID: "demo", Name: "Démo", Policy: sms}) },
				push.App{ID: "demo", Name: "Démo", Policy: sms},
			},
			{
				"set policy", func() error { return s.SetPolicy(t.Context(), "demo", push.Policy{}) },
				push.App{ID: "demo", Name: "Démo", Policy: push.Policy{SMSClasses: []push.Class{}}},
			},
		}
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if got, err := s.App(t.Context(), "demo"); err != nil || !reflect.DeepEqual(got, step.want) {
				t.Errorf("after %s App() = %+v, %v; want %+v", step.name, got, err, step.want)
			}
		}
		if again, err := s.TokenSecret(t.Context(), "demo"); err != nil || !bytes.Equal(again, secret) {
			t.Errorf("the secret changed with the app: %v", err)
		}
		if other, err := s.TokenSecret(t.Context(), "other"); err != nil || bytes.Equal(other, secret) {
			t.Errorf("two apps have one secret: %v", err)
		}
		apps, err := s.Apps(t.Context())
		if err != nil || len(apps) != 2 || apps[0].ID != "demo" || apps[1].ID != "other" {
			t.Errorf("Apps() = %v, %v; want demo and other", apps, err)
		}
	})
}

func TestWhatIsNotThereIsErrNotFound(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		tests := map[string]func(name string) error{
			"app":                func(n string) error { _, err := s.App(ctx, n); return err },
			"policy":             func(n string) error { return s.SetPolicy(ctx, n, push.Policy{}) },
			"token secret":       func(n string) error { _, err := s.TokenSecret(ctx, n); return err },
			"device":             func(n string) error { _, err := s.Device(ctx, "demo", n); return err },
			"delete device":      func(n string) error { return s.DeleteDevice(ctx, "demo", n) },
			"key":                func(n string) error { _, err := s.Key(ctx, n); return err },
			"find key":           func(n string) error { _, _, err := s.FindKey(ctx, n); return err },
			"revoke key":         func(n string) error { return s.RevokeKey(ctx, "demo", n) },
			"key of no app":      func(n string) error { _, err := s.CreateKey(ctx, n, nil, ""); return err },
			"credentials":        func(n string) error { _, _, err := s.Credentials(ctx, "demo", n); return err },
			"credential":         func(n string) error { _, err := s.Credential(ctx, n, "apns"); return err },
			"delete credentials": func(n string) error { return s.DeleteCredentials(ctx, "demo", n) },
			"credentials of none": func(n string) error {
				_, err := s.PutCredentials(ctx, n, "apns", []byte(`{}`))
				return err
			},
		}
		for name, do := range tests {
			for _, odd := range []string{"nobody", "", "no\x00body", "no\xffbody", strings.Repeat("x", 55)} {
				if err := do(odd); !errors.Is(err, push.ErrNotFound) {
					t.Errorf("%s %.10q: error = %v, want ErrNotFound", name, odd, err)
				}
			}
		}
	})
}

func TestAKeyOpensUntilItIsRevoked(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		text, err := s.CreateKey(t.Context(), "demo", []string{"send", "read"}, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if len(text) != 55 || !strings.HasPrefix(text, "hk_") || text[11] != '_' {
			t.Errorf("CreateKey() = %q, want hk_<8>_<43>", text)
		}
		app, scopes, err := s.FindKey(t.Context(), text)
		if app != "demo" || !slices.Equal(scopes, []string{"send", "read"}) || err != nil {
			t.Errorf("FindKey() = %q, %v, %v", app, scopes, err)
		}

		last := byte('A')
		if text[54] == last {
			last = 'B'
		}
		wrong := map[string]string{
			"another secret": text[:54] + string(last),
			"its id alone":   text[:11],
			"its id and _":   text[:12],
			"cut":            text[:54],
			"longer":         text + "A",
			"another id":     "hk_zzzzzzzz" + text[11:],
			"another mark":   "xx_" + text[3:],
		}
		for name, w := range wrong {
			if _, _, err := s.FindKey(t.Context(), w); !errors.Is(err, push.ErrNotFound) {
				t.Errorf("FindKey() of %s: %v, want ErrNotFound", name, err)
			} else if strings.Contains(err.Error(), text[12:30]) || strings.Contains(err.Error(), text[3:11]) {
				t.Errorf("FindKey() of %s repeats the key: %v", name, err)
			}
		}

		id := text[3:11]
		if err := s.RevokeKey(t.Context(), "other", id); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("RevokeKey() by another app: %v, want ErrNotFound", err)
		}
		if err := s.RevokeKey(t.Context(), "demo", id); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.FindKey(t.Context(), text); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("FindKey() after: %v, want ErrNotFound", err)
		}
		if _, err := s.Key(t.Context(), id); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("Key() after: %v, want ErrNotFound", err)
		}

		keys, err := s.Keys(t.Context(), "demo")
		if err != nil || len(keys) != 1 {
			t.Fatalf("Keys() = %v, %v; want one", keys, err)
		}
		k := keys[0]
		if k.ID != id || k.Name != "shop" || k.Hash != sha256.Sum256([]byte(text)) {
			t.Errorf("Keys() = %+v", k)
		}
		for what, at := range map[string]time.Time{"created": k.CreatedAt, "used": k.LastUsedAt, "revoked": k.RevokedAt} {
			if age := time.Since(at); age < 0 || age > time.Minute {
				t.Errorf("%s at %v, want just now", what, at)
			}
		}
	})
}

func TestPutKeyTakesNoIDTwice(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		k := sqlstore.Key{ID: "abcdefgh", App: "demo", Hash: sha256.Sum256([]byte("x")), CreatedAt: time.Now()}
		if err := s.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		k.App = "other"
		if err := s.PutKey(t.Context(), k); !errors.Is(err, push.ErrConflict) {
			t.Errorf("PutKey() again: %v, want ErrConflict", err)
		}
		var invalid *push.Invalid
		if err := s.PutKey(t.Context(), sqlstore.Key{App: "demo", Scopes: []string{""}}); !errors.As(err, &invalid) || len(invalid.Faults) != 3 {
			t.Errorf("PutKey() of nothing: %v, want three faults", err)
		}
	})
}

func TestCredentialsAreReplacedCountedAndForgotten(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		write := func(text string) int64 {
			t.Helper()
			c, err := s.PutCredentials(ctx, "demo", "apns", []byte(text))
			if err != nil || c.Provider != "apns" || time.Since(c.UpdatedAt) > time.Minute {
				t.Fatalf("PutCredentials() = %+v, %v", c, err)
			}
			secret, version, err := s.Credentials(ctx, "demo", "apns")
			if string(secret) != text || version != c.Version || err != nil {
				t.Fatalf("Credentials() = %q, %d, %v; want %q, %d", secret, version, err, text, c.Version)
			}
			return version
		}
		if first, second := write(`{"a":1}`), write(`{"a":2}`); first != 1 || second != 2 {
			t.Errorf("versions %d and %d, want 1 and 2", first, second)
		}
		if err := s.DeleteCredentials(ctx, "demo", "apns"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Credentials(ctx, "demo", "apns"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("Credentials() after: %v, want ErrNotFound", err)
		}
		if list, err := s.ListCredentials(ctx, "demo"); len(list) != 0 || err != nil {
			t.Errorf("ListCredentials() after = %v, %v", list, err)
		}
		if again := write(`{"a":1}`); again <= 2 {
			t.Errorf("a version came twice: %d", again)
		}
		if _, err := s.PutCredentials(ctx, "other", "sms", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		versions, err := s.CredentialVersions(ctx)
		want := map[string]map[string]int64{"demo": {"apns": 4}, "other": {"sms": 1}}
		if err != nil || !reflect.DeepEqual(versions, want) {
			t.Errorf("CredentialVersions() = %v, %v; want %v", versions, err, want)
		}
		var invalid *push.Invalid
		if _, err := s.PutCredentials(ctx, "demo", "", []byte(`{"planted-secret`)); !errors.As(err, &invalid) || strings.Contains(err.Error(), "planted") {
			t.Errorf("PutCredentials() of no JSON: %v, want faults without the secret", err)
		}
	})
}

func TestSecretsOpenOnlyWithTheirKey(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, url string) {
		ctx := t.Context()
		if _, err := s.PutCredentials(ctx, "demo", "apns", []byte(`{"key":"planted-secret"}`)); err != nil {
			t.Fatal(err)
		}
		stranger := open(t, url, newKey)
		if _, _, err := stranger.Credentials(ctx, "demo", "apns"); err == nil || errors.Is(err, push.ErrNotFound) || strings.Contains(err.Error(), "planted") {
			t.Errorf("Credentials() with another key: %v, want a plain refusal", err)
		}
		if _, err := stranger.Reseal(ctx); err == nil {
			t.Error("Reseal() without the old key gives no error")
		}

		rotated := open(t, url, newKey+" "+oldKey)
		if n, err := rotated.Reseal(ctx); n != 3 || err != nil { // two apps and the credentials
			t.Errorf("Reseal() = %d, %v; want 3", n, err)
		}
		if n, err := rotated.Reseal(ctx); n != 0 || err != nil {
			t.Errorf("Reseal() again = %d, %v; want 0", n, err)
		}
		if secret, _, err := stranger.Credentials(ctx, "demo", "apns"); err != nil || !bytes.Contains(secret, []byte("planted")) {
			t.Errorf("Credentials() with the new key alone: %v", err)
		}
		if _, err := stranger.TokenSecret(ctx, "demo"); err != nil {
			t.Errorf("TokenSecret() with the new key alone: %v", err)
		}
	})
}

func TestCredentialsAreRolledBack(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		if _, err := s.RollBackCredentials(ctx, "demo", "fcm"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("RollBackCredentials() of none = %v, want not found", err)
		}
		for i := range 8 {
			if _, err := s.PutCredentials(ctx, "demo", "fcm", fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5 { // the last five before the present ones are kept
			c, err := s.RollBackCredentials(ctx, "demo", "fcm")
			if err != nil || c.Version != int64(9+i) {
				t.Fatalf("RollBackCredentials() = version %d, %v; want %d", c.Version, err, 9+i)
			}
			want := fmt.Sprintf(`{"n":%d}`, 6-i)
			if got, _, err := s.Credentials(ctx, "demo", "fcm"); err != nil || string(got) != want {
				t.Errorf("Credentials() = %s, %v; want %s", got, err, want)
			}
		}
		if _, err := s.RollBackCredentials(ctx, "demo", "fcm"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("a sixth = %v, want not found", err)
		}
		if _, err := s.PutCredentials(ctx, "demo", "fcm", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteCredentials(ctx, "demo", "fcm"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RollBackCredentials(ctx, "demo", "fcm"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("after they were deleted = %v, want not found", err)
		}
	})
}
