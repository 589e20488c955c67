package sandbox_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestVivoReportsWhatHasArrived(t *testing.T) {
	reportsArrival(t, "vivo", start(t, sandbox.Config{}))
}

func TestVivoRepeatReplaces(t *testing.T) { replacesRepeats(t, "vivo") }

func TestVivoTellsADeadTokenAtOnce(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("vivo", tokens["vivo"], time.Now())
	_, err := open(t, s, "vivo", "").Send(t.Context(), delivery("vivo", "n1.0.0"))
	if !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want that the device is gone", err)
	}
}

func TestVivoSaysItsWords(t *testing.T) {
	saysItsWords(t, "vivo", map[string]error{
		"10072": push.ErrThrottled, "10073": push.ErrQuota, "10094": push.ErrCredentials,
		"10104": push.ErrRejected, "10302": push.ErrUnregistered,
	})
}

func TestVivoRefusesAnotherSecret(t *testing.T) {
	s := start(t, sandbox.Config{})
	other := bytes.Replace(s.Credentials("vivo"), []byte(`"app_secret":"`), []byte(`"app_secret":"x`), 1)
	p, err := openers("")["vivo"](other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("vivo", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Send() error = %v, want credentials", err)
	}
}
