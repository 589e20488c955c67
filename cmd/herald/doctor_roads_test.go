package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// sealedIn plays the store of credentials.
type sealedIn map[string]json.RawMessage

func (s sealedIn) Credentials(_ context.Context, app, provider string) ([]byte, int64, error) {
	c, ok := s[app+"/"+provider]
	if !ok {
		return nil, 0, push.ErrNotFound
	}
	return c, 1, nil
}

// with is a copy of credentials with other words in it.
func with(t *testing.T, credentials json.RawMessage, words map[string]any) json.RawMessage {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(credentials, &c); err != nil {
		t.Fatal(err)
	}
	for name, word := range words {
		c[name] = word
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVendorsSayWhomTheyKnow(t *testing.T) {
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := sandbox.New(sandbox.Config{}) // whose keys the first does not know
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	soon, err := box.Certificate("com.example.demo", time.Now().Add(240*time.Hour))
	if err != nil {
		t.Fatal(err)
	}

	// Of each: what makes its credentials strange, and what its word says.
	tests := map[string]struct {
		strange map[string]any
		said    string
	}{
		"apns":   {map[string]any{"key": field(t, other.Credentials("apns"), "key")}, "knows the key"},
		"fcm":    {map[string]any{"service_account": strangeAccount(t, box, other)}, "validates a message"},
		"sms":    {map[string]any{"secret": "wrong"}, "knows the account"},
		"huawei": {map[string]any{"client_secret": "wrong"}, "access token"},
		"honor":  {map[string]any{"client_secret": "wrong"}, "access token"},
		"oppo":   {map[string]any{"master_secret": "wrong"}, "access token"},
		"vivo":   {map[string]any{"app_secret": "wrong"}, "access token"},
		"http":   {map[string]any{"vars": map[string]string{"app_key": "another", "master_secret": "wrong"}}, "answers the check"},
		"xiaomi": {map[string]any{"app_secret": "wrong"}, "app's counts"},
		"meizu":  {map[string]any{"app_secret": "wrong"}, "app's counts"},
		"smpp":   {map[string]any{"password": "wrong"}, "takes the bind"},
		"xmpp":   {map[string]any{"secret": "wrong"}, "takes the component"},
	}
	store := sealedIn{"demo/webpush": box.Credentials("webpush"), "cert/apns": certified(t, box, soon), "half/apns": json.RawMessage(`{"key":"x"}`)}
	for name, tt := range tests {
		store["demo/"+name] = box.Credentials(name)
		store["strange/"+name] = with(t, box.Credentials(name), tt.strange)
		away := map[string]any{"endpoint": "https://127.0.0.1:1"}
		if name == "smpp" || name == "xmpp" {
			away = map[string]any{"address": "127.0.0.1:1"}
		}
		store["away/"+name] = with(t, box.Credentials(name), away)
	}
	set := providers.NewSet(store, openers("", providers.OwnEngine, nil), nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := set.Examine(t.Context(), "demo", name, true)
			if err != nil || !h.Asked || !strings.Contains(h.Said, tt.said) {
				t.Errorf("good credentials: %+v, %v, want a word of %q", h, err, tt.said)
			}
			if _, err := set.Examine(t.Context(), "strange", name, true); !errors.Is(err, push.ErrCredentials) {
				t.Errorf("strange credentials: error = %v, want credentials", err)
			}
			if _, err := set.Examine(t.Context(), "strange", name, false); err != nil {
				t.Errorf("strange credentials, nobody asked: error = %v", err)
			}
			if _, err := set.Examine(t.Context(), "away", name, true); err == nil || errors.Is(err, push.ErrCredentials) {
				t.Errorf("a vendor that is away: error = %v, want another than credentials", err)
			}
			if n := box.Counts(name).Accepted; n != 0 {
				t.Errorf("%d messages were sent to ask", n)
			}
		})
	}
	if h, err := set.Examine(t.Context(), "demo", "webpush", true); err != nil || !strings.Contains(h.Said, "sign what a browser's service verifies") {
		t.Errorf("keys that nobody can be asked about: %+v, %v", h, err)
	}
	if h, err := set.Examine(t.Context(), "cert", "apns", true); err != nil || !strings.Contains(h.Said, "certificate") || time.Until(h.Ends) > 241*time.Hour {
		t.Errorf("a certificate: %+v, %v", h, err)
	}
	if _, err := set.Examine(t.Context(), "half", "apns", true); !errors.Is(err, push.ErrCredentials) || !strings.Contains(err.Error(), "key_id") {
		t.Errorf("credentials with faults: error = %v, want them named", err)
	}
}

func field(t *testing.T, credentials json.RawMessage, name string) any {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(credentials, &c); err != nil {
		t.Fatal(err)
	}
	return c[name]
}

// strangeAccount has the right name and another's key.
func strangeAccount(t *testing.T, box, other *sandbox.Sandbox) any {
	t.Helper()
	mine, _ := field(t, box.Credentials("fcm"), "service_account").(map[string]any)
	theirs, _ := field(t, other.Credentials("fcm"), "service_account").(map[string]any)
	mine["private_key"] = theirs["private_key"]
	return mine
}

func certified(t *testing.T, box *sandbox.Sandbox, certificate string) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(map[string]any{"endpoint": box.URL("apns"), "ca": box.CA(), "certificate": certificate})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHealthInWords(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		health providers.Health
		err    error
		want   string
		mark   string
	}{
		"it knows us":       {providers.Health{Asked: true, Said: "it knows the key"}, nil, "app demo: it knows the key", "ok"},
		"cannot be asked":   {providers.Health{}, nil, "app demo: can be used; the vendor was not asked", "ok"},
		"ends next year":    {providers.Health{Asked: true, Said: "it knows the certificate", Ends: now.AddDate(1, 0, 0)}, nil, "certificate, until 2027-03-01", "ok"},
		"ends next week":    {providers.Health{Asked: true, Said: "x", Ends: now.AddDate(0, 0, 7)}, nil, "ends on 2026-03-08", "warn"},
		"it does not":       {providers.Health{Asked: true}, &push.Error{Provider: "apns", Kind: push.ErrCredentials, Detail: "InvalidProviderToken"}, "InvalidProviderToken", "FAIL"},
		"it is not there":   {providers.Health{Asked: true}, &push.Error{Provider: "apns", Kind: push.ErrUnavailable, Detail: "could not connect"}, "could not be asked", "warn"},
		"it never answered": {providers.Health{Asked: true}, &push.Error{Provider: "apns", Kind: push.ErrUnknown, Detail: "no answer"}, "could not be asked", "warn"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := healthFinding("demo", "apns", tt.health, tt.err, now)
			var out strings.Builder
			e := examiner{out: &out}
			e.tell(f)
			if !strings.HasPrefix(out.String(), tt.mark) || !strings.Contains(out.String(), tt.want) || (e.faults > 0) != (tt.mark == "FAIL") {
				t.Errorf("doctor says %q, want %s and %q", out.String(), tt.mark, tt.want)
			}
		})
	}
}
