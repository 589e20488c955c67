package smpp

import (
	"errors"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestSMSCSaysWhetherItKnowsTheAccount(t *testing.T) {
	s := startSMSC(t)
	if said, err := open(t, s.address, nil).Check(t.Context()); err != nil || said != "it takes the bind" {
		t.Errorf("Check() = %q, %v", said, err)
	}
	s.next("bound")
	s.next("unbound")
	s.order(`{"refuse": 14}`)
	if _, err := open(t, s.address, nil).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() that is refused: error = %v, want credentials", err)
	}
	if _, err := open(t, "127.0.0.1:1", nil).Check(t.Context()); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("Check() of nobody: error = %v, want unavailable", err)
	}
}
