package sandbox_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestXiaomiReportsWhatBecameOfAMessage(t *testing.T) { reportsBack(t, "xiaomi") }

func TestXiaomiTellsADeadTokenAtOnceToThoseWhoWantNoReceipt(t *testing.T) {
	s := start(t, sandbox.Config{})
	s.Kill("xiaomi", tokens["xiaomi"], time.Now())
	_, err := open(t, s, "xiaomi", "").Send(t.Context(), delivery("xiaomi", "n1.0.0"))
	if !errors.Is(err, push.ErrUnregistered) {
		t.Errorf("Send() error = %v, want that the device is gone", err)
	}
}

func TestXiaomiSaysItsWords(t *testing.T) {
	words := map[string]error{
		"10002": push.ErrUnavailable, "10027": push.ErrThrottled, "10031": push.ErrPolicy, "200001": push.ErrQuota,
		"21301": push.ErrCredentials, "27001": push.ErrRejected, "10029": push.ErrUnregistered,
	}
	saysItsWords(t, "xiaomi", words)
}

func TestXiaomiRepeatReplaces(t *testing.T) { replacesRepeats(t, "xiaomi") }

// reportsBack checks the receipts of a message that arrives and of one to a
// token that nobody has.
func reportsBack(t *testing.T, vendor string) {
	s := start(t, sandbox.Config{})
	expect := reportsArrival(t, vendor, s)
	s.Kill(vendor, tokens[vendor], time.Now())
	expect("n1.0.8", push.Failed, "unregistered")
}

// reportsArrival checks the receipt of a message that arrives, and returns what
// checks that of another.
func reportsArrival(t *testing.T, vendor string, s *sandbox.Sandbox) (expect func(id string, stage push.Stage, kind string)) {
	var p providers.Provider
	reports := make(chan push.Receipt, 4)
	herald := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rs, err := p.(providers.Callbacker).Callback(r, body)
		if err != nil {
			t.Errorf("Callback() error = %v", err)
		}
		for _, rec := range rs {
			reports <- rec
		}
	}))
	t.Cleanup(herald.Close)
	p = open(t, s, vendor, herald.URL+"/v1/callbacks/"+vendor)
	expect = func(id string, stage push.Stage, kind string) {
		t.Helper()
		if _, err := p.Send(t.Context(), delivery(vendor, id)); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-reports:
			if r.Stage != stage || r.Kind != kind || r.Delivery != id || r.App != "demo" {
				t.Errorf("receipt = %+v, want %s %s of %s", r, stage, kind, id)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no report of %s", id)
		}
	}
	expect("n1.0.7", push.Delivered, "")
	return expect
}

// saysItsWords checks that what a vendor is told to answer becomes its kind.
func saysItsWords(t *testing.T, vendor string, words map[string]error) {
	s := start(t, sandbox.Config{})
	p := open(t, s, vendor, "")
	for word, kind := range words {
		t.Run(word, func(t *testing.T) {
			if err := s.Set(vendor, sandbox.Settings{ErrorRate: 1, Error: word}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Send(t.Context(), delivery(vendor, "n1.0.0")); !errors.Is(err, kind) {
				t.Errorf("Send() error = %v, want %v", err, kind)
			}
		})
	}
}

// replacesRepeats checks that a message that comes again is shown once.
func replacesRepeats(t *testing.T, vendor string) {
	s := start(t, sandbox.Config{})
	p := open(t, s, vendor, "")
	for range 2 {
		if _, err := p.Send(t.Context(), delivery(vendor, "n1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if shows := s.Shows(vendor, tokens[vendor]); len(shows) != 1 || shows[0].Times != 2 {
		t.Errorf("the device shows %+v, want one that came twice", shows)
	}
}
