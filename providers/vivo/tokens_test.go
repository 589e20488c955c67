package vivo

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestRefusedTokenIsForgotten(t *testing.T) {
	var asked atomic.Int64
	s := service()
	grant := s.Aside
	s.Aside = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == authPath {
			asked.Add(1)
		}
		return grant(w, r)
	}
	s.Accept = providertest.JSON(200, `{"result":10000,"desc":"authentication failed"}`)
	f := providertest.HTTP(s).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("a new one: error = %v, want credentials", err)
	}
	p.tokens.Young = 1 // nanosecond: every token is old
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("an old one: error = %v, want unavailable", err)
	}
	if _, err := p.tokens.Get(t.Context()); err != nil || asked.Load() != 2 {
		t.Errorf("Get() error = %v after %d tokens, want a second", err, asked.Load())
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
