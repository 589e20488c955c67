package vivo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// desk grants tokens t1, t2 … or refuses, at a time of its own.
type desk struct {
	now    time.Time
	asked  int
	refuse *push.Error
}

func (d *desk) tokens() *tokens {
	return &tokens{
		now: func() time.Time { return d.now },
		ask: func(context.Context) (string, *push.Error) {
			d.asked++
			return fmt.Sprintf("t%d", d.asked), d.refuse
		},
	}
}

func TestTokenServesUntilItIsOld(t *testing.T) {
	d := &desk{now: time.Unix(1_700_000_000, 0)}
	ts := d.tokens()
	for _, step := range []struct {
		later time.Duration
		want  string
	}{{0, "t1"}, {22 * time.Hour, "t1"}, {2*time.Hour - time.Second, "t2"}, {time.Hour, "t2"}} {
		d.now = d.now.Add(step.later)
		if got, err := ts.get(t.Context()); err != nil || got != step.want {
			t.Errorf("get() after %v more = %q, %v, want %s", step.later, got, err, step.want)
		}
	}
}

func TestRefusedTokenIsForgotten(t *testing.T) {
	tests := map[string]struct {
		age  time.Duration
		want error
	}{
		"an old one: the next attempt gets another": {time.Hour, push.ErrUnavailable},
		"a new one: so would the next be":           {time.Second, push.ErrCredentials},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &desk{now: time.Unix(1_700_000_000, 0)}
			ts := d.tokens()
			first, _ := ts.get(t.Context())
			d.now = d.now.Add(tt.age)
			e := &push.Error{Kind: push.ErrUnavailable}
			ts.refused(first, e)
			if !errors.Is(e, tt.want) {
				t.Errorf("the refusal is %v, want %v", e, tt.want)
			}
			if next, _ := ts.get(t.Context()); next != "t2" {
				t.Errorf("the next token is %q, want t2", next)
			}
		})
	}
}

func TestRefusalServesAWhileBeforeTheNextAsking(t *testing.T) {
	d := &desk{now: time.Unix(1_700_000_000, 0), refuse: &push.Error{Kind: push.ErrCredentials}}
	ts := d.tokens()
	for range 3 {
		if _, err := ts.get(t.Context()); !errors.Is(err, push.ErrCredentials) {
			t.Errorf("get() error = %v, want credentials", err)
		}
	}
	if d.asked != 1 {
		t.Errorf("asked %d times within a second, want once", d.asked)
	}
	d.now, d.refuse = d.now.Add(fetchPause), nil
	if got, err := ts.get(t.Context()); err != nil || got != "t2" {
		t.Errorf("get() = %q, %v after the pause", got, err)
	}
}

func TestWrongSecretIsToldAsSuch(t *testing.T) {
	s := service()
	s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
		providertest.JSON(200, `{"result":10206,"desc":"sign"}`)(w, r)
		return true
	}
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	if _, err := f.Provider.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Send() error = %v, want credentials", err)
	}
}
