package sandbox_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestOppoReportsWhatBecameOfAMessage(t *testing.T) { reportsBack(t, "oppo") }

func TestOppoTellsADeadTokenAtOnceToThoseWhoWantNoReceipt(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("oppo", tokens["oppo"], time.Now())
	_, err := open(t, s, "oppo", "").Send(t.Context(), delivery("oppo", "n1.0.0"))
	if !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want that the device is gone", err)
	}
}

func TestOppoSaysItsWords(t *testing.T) {
	saysItsWords(t, "oppo", map[string]error{
		"-1": push.ErrThrottled, "-2": push.ErrThrottled, "26": push.ErrCredentials, "33": push.ErrQuota,
		"41": push.ErrRejected, "10000": push.ErrUnregistered, "32": nil,
	})
}

func TestOppoRefusesAnotherSecret(t *testing.T) {
	s := start(t, sandbox.Config{})
	other := bytes.Replace(s.Credentials("oppo"), []byte(`"master_secret":"`), []byte(`"master_secret":"x`), 1)
	p, err := openers("")["oppo"](other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("oppo", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Send() error = %v, want credentials", err)
	}
}

func TestOppoSendsAMessageIDToADeviceOnce(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "oppo", "")
	for range 2 {
		if _, err := p.Send(t.Context(), delivery("oppo", "n1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if shows := s.Shows("oppo", tokens["oppo"]); len(shows) != 1 || shows[0].Times != 1 {
		t.Errorf("the device shows %+v, want one that came once", shows)
	}
}
