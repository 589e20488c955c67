package xmpp

import (
	"errors"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestServerSaysWhetherItKnowsTheComponent(t *testing.T) {
	s := startProsody(t)
	p := s.open(t, nil)
	if said, err := p.Check(t.Context()); err != nil || said != "it takes the component" {
		t.Errorf("Check() = %q, %v", said, err)
	}
	s.says(t, "component disconnected: push.example.org")

	if _, err := p.Send(t.Context(), delivery("n1.0.0")); err != nil { // and stays connected
		t.Fatal(err)
	}
	if said, err := s.open(t, nil).Check(t.Context()); err != nil || said != "it knows the component, which is connected already" {
		t.Errorf("Check() beside a connected one = %q, %v", said, err)
	}
	if _, err := s.open(t, map[string]any{"secret": "wrong"}).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() with a wrong secret: error = %v, want credentials", err)
	}
	s.kill()
	if _, err := s.open(t, nil).Check(t.Context()); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("Check() of a server that is gone: error = %v, want unavailable", err)
	}
}
