package providers

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

const table = `{"source":"s","date":"2026-11-24","codes":[
	{"status":404,"code":"GONE","kind":"unregistered","means":"the app was deleted"},
	{"status":404,"kind":"credentials","means":"no such project"},
	{"status":429,"kind":"throttled","retry_after_seconds":60,"means":"too many"}]}`

func TestCorrectionTakesThePlaceOfARow(t *testing.T) {
	byWord := push.Correction{Code: "GONE", Kind: "unreachable", RetryAfterSeconds: 5, Scope: push.ScopeToken}
	byStatus := push.Correction{Status: 404, Kind: "quota", Means: "so they say"}
	tests := map[string]struct {
		own    []push.Correction
		status int
		word   string
		kind   error
		detail string
	}{
		"nothing is corrected":                    {nil, 404, "GONE", push.ErrUnregistered, "GONE: the app was deleted"},
		"the word is":                             {[]push.Correction{byWord}, 404, "GONE", push.ErrUnreachable, "GONE: the app was deleted"},
		"the word is, under another status":       {[]push.Correction{byWord}, 500, "GONE", push.ErrUnreachable, "GONE"},
		"the status is, and a word decides":       {[]push.Correction{byStatus}, 404, "GONE", push.ErrUnregistered, "GONE: the app was deleted"},
		"the status is, and no word is known":     {[]push.Correction{byStatus}, 404, "WHAT", push.ErrQuota, "WHAT: so they say"},
		"both are, and the word decides":          {[]push.Correction{byStatus, byWord}, 404, "GONE", push.ErrUnreachable, "GONE: the app was deleted"},
		"a status that the table does not know":   {[]push.Correction{{Status: 418, Kind: "policy"}}, 418, "", push.ErrPolicy, ""},
		"another status than the one corrected":   {[]push.Correction{byStatus}, 429, "", push.ErrThrottled, "too many"},
		"a word that the table does not know":     {[]push.Correction{{Code: "NEW", Kind: "policy", Means: "m"}}, 400, "NEW", push.ErrPolicy, "NEW: m"},
		"an answer without a word, a word's rule": {[]push.Correction{byWord}, 404, "", push.ErrCredentials, "no such project"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ParseCodes([]byte(table))
			if err != nil {
				t.Fatal(err)
			}
			c.Correct(tt.own)
			e := c.Error("x", tt.status, tt.word)
			if !errors.Is(e.Kind, tt.kind) || e.Detail != tt.detail {
				t.Errorf("Error() = %v %q, want %v %q", e.Kind, e.Detail, tt.kind, tt.detail)
			}
			if tt.kind == push.ErrUnreachable && (e.RetryAfter != 5*time.Second || e.Scope != push.ScopeToken) {
				t.Errorf("Error() = %+v, want the correction's wait and scope", e)
			}
		})
	}
}

func TestOpenProviderLearnsOfCorrections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{}
		f.put("demo", "one", 1)
		codes, err := ParseCodes([]byte(table))
		if err != nil {
			t.Fatal(err)
		}
		var opens atomic.Int64
		s := NewSet(f, map[string]Opener{"apns": func([]byte) (Provider, error) {
			opens.Add(1)
			return &codedFake{codes: codes}, nil
		}}, nil)
		kept := &keptCorrections{}
		s.CorrectedBy(kept)
		kind := func() string {
			_, err := s.Send(t.Context(), "demo", "apns", &push.Delivery{})
			return push.KindName(err)
		}
		for _, step := range []struct {
			when string
			do   func()
			want string
		}{
			{"before", func() {}, "unregistered"},
			{"just after another process corrected it", func() { kept.put("quota") }, "unregistered"},
			{"some seconds later", func() { time.Sleep(recheck) }, "quota"},
			{"when this process corrects it", func() { kept.put("policy"); s.Recheck("demo", "apns") }, "policy"},
			{"while the store is away", func() { kept.away.Store(true); time.Sleep(recheck) }, "policy"},
			{"when it was taken back", func() { kept.away.Store(false); kept.put(""); time.Sleep(recheck) }, "unregistered"},
		} {
			step.do()
			if got := kind(); got != step.want {
				t.Errorf("%s: %s, want %s", step.when, got, step.want)
			}
		}
		if opens.Load() != 1 {
			t.Errorf("%d providers were opened: a correction must not close connections", opens.Load())
		}
	})
}

// codedFake is refused everything by a service that says GONE.
type codedFake struct{ codes *Codes }

func (p *codedFake) Codes() *Codes { return p.codes }
func (p *codedFake) Send(context.Context, *push.Delivery) (push.Answer, error) {
	return push.Answer{}, p.codes.Error("apns", 404, "GONE")
}
func (p *codedFake) Weigh(*push.Delivery) (push.Payload, error) { return push.Payload{}, nil }

// keptCorrections is a store of one.
type keptCorrections struct {
	kind atomic.Pointer[string]
	away atomic.Bool
}

func (k *keptCorrections) put(kind string) { k.kind.Store(&kind) }

func (k *keptCorrections) Corrections(context.Context, string, string) ([]push.Correction, error) {
	if k.away.Load() {
		return nil, push.ErrAway
	}
	if kind := k.kind.Load(); kind != nil && *kind != "" {
		return []push.Correction{{Code: "GONE", Kind: *kind}}, nil
	}
	return nil, nil
}
