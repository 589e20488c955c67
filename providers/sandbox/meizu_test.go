package sandbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestMeizuReportsThatAMessageArrived(t *testing.T) {
	reportsArrival(t, "meizu", start(t, sandbox.Config{}))
}

func TestMeizuRepeatReplaces(t *testing.T) { replacesRepeats(t, "meizu") }

func TestMeizuTellsADeadTokenAtOnce(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("meizu", tokens["meizu"], time.Now())
	_, err := open(t, s, "meizu", "").Send(t.Context(), delivery("meizu", "n1.0.0"))
	if !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want that the device is gone", err)
	}
}

func TestMeizuSaysItsWords(t *testing.T) {
	saysItsWords(t, "meizu", map[string]error{
		"1001": push.ErrUnavailable, "1003": push.ErrThrottled, "1005": push.ErrRejected, "1006": push.ErrCredentials,
		"110010": push.ErrThrottled, "110053": push.ErrPolicy,
	})
}

func TestMeizuKnowsItsApp(t *testing.T) {
	s := start(t, sandbox.Config{})
	wrong := bytes.Replace(s.Credentials("meizu"), []byte(`"app_secret":"`), []byte(`"app_secret":"x`), 1)
	p, err := openers("")["meizu"](wrong)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), delivery("meizu", "n1.0.0")); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Send() with another secret: error = %v, want credentials", err)
	}
	if _, err := p.(providers.Checker).Check(t.Context()); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Check() with another secret: error = %v, want credentials", err)
	}
	if _, err := open(t, s, "meizu", "").(providers.Checker).Check(t.Context()); err != nil {
		t.Errorf("Check() error = %v", err)
	}
}

func TestMeizuGivesTheAppWhatNobodySees(t *testing.T) {
	s := start(t, sandbox.Config{})
	d := delivery("meizu", "n1.0.0")
	d.Title, d.Body = "", ""
	d.Overrides = map[string]json.RawMessage{"meizu": json.RawMessage(`{"data_only":true}`)}
	if _, err := open(t, s, "meizu", "").Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if shows := s.Shows("meizu", tokens["meizu"]); len(shows) != 1 || shows[0].Title != "" || shows[0].Data["order"] != "8812" {
		t.Errorf("the device has %+v", shows)
	}
}
