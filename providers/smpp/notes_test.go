package smpp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// notesIn keeps notes in a real Redis.
func notesIn(t *testing.T, server *redistest.Server) *redisstore.Notes {
	t.Helper()
	rdb, err := redisstore.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return redisstore.NewNotes(rdb)
}

// sentBefore sends by a provider that is gone afterwards, as its process is
// after a restart, and returns the service's ids of the message's parts.
func sentBefore(t *testing.T, s *smsc, notes Notes, d *push.Delivery, parts int) (ids []string) {
	t.Helper()
	p := openWith(t, notes, s.address, nil)
	receipts(p)
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for range parts {
		ids = append(ids, s.next("answered")["id"].(string))
	}
	p.CloseIdleConnections()
	s.next("unbound")
	return ids
}

func TestReceiptsAreUnderstoodAfterARestart(t *testing.T) {
	notes := notesIn(t, redistest.Start(t))
	tests := map[string]struct {
		body  string
		parts int
		said  []string // what the service reports of each part
		want  push.Stage
	}{
		"one part":                 {"Your code is 123456", 1, []string{"DELIVRD"}, push.Delivered},
		"three parts":              {strings.Repeat("x", 400), 3, []string{"DELIVRD", "DELIVRD", "DELIVRD"}, push.Delivered},
		"three parts, one is lost": {strings.Repeat("x", 400), 3, []string{"DELIVRD", "EXPIRED"}, push.Failed},
	}
	s := startSMSC(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("order-8812.0.3")
			d.Body = tt.body
			ids := sentBefore(t, s, notes, d, tt.parts)

			p := openWith(t, notes, s.address, nil)
			got := receipts(p)
			p.Await(time.Now().Add(time.Minute)) // nothing is sent, and still it binds
			s.next("bound")
			for i, said := range tt.said {
				s.order(`{"receipt": %q, "id": %q}`, said, ids[i])
				if a := s.next("acknowledged"); a["status"] != 0.0 {
					t.Errorf("acknowledged with %v", a["status"])
				}
			}
			r := <-got
			if r.Stage != tt.want || r.App != "demo" || r.Delivery != "order-8812.0.3" || r.Device != "phone-1" {
				t.Errorf("receipt = %+v, want %s", r, tt.want)
			}
			if len(got) > 0 {
				t.Errorf("a second receipt: %+v", <-got)
			}
			p.CloseIdleConnections()
			s.next("unbound")
		})
	}
}

func TestPartsMayBeReportedToSeveralProcesses(t *testing.T) {
	notes := notesIn(t, redistest.Start(t))
	s := startSMSC(t)
	d := delivery("n1.0.0")
	d.Body = strings.Repeat("x", 200)
	ids := sentBefore(t, s, notes, d, 2)

	first := openWith(t, notes, s.address, nil)
	one := receipts(first)
	second := openWith(t, notes, s.address, nil)
	two := receipts(second)
	if err := first.proved(t.Context(), receipt{id: ids[0], state: "DELIVRD"}); err != nil {
		t.Fatal(err)
	}
	if len(one) > 0 {
		t.Fatalf("half a message is delivered: %+v", <-one)
	}
	if err := second.proved(t.Context(), receipt{id: ids[1], state: "DELIVRD"}); err != nil {
		t.Fatal(err)
	}
	if r := <-two; r.Stage != push.Delivered {
		t.Errorf("receipt = %+v, want delivered: the other half came to the other process", r)
	}
}

func TestWhatIsRecalledMustBeTheMessage(t *testing.T) {
	notes := notesIn(t, redistest.Start(t))
	p := openWith(t, notes, "127.0.0.1:1", nil)
	receipts(p)
	a := &awaited{journey: newJourney(delivery("n1.0.0"), "15551234567", 1, time.Now())}
	p.keep(t.Context(), a, "a0")
	tests := map[string]struct {
		receipt receipt
		found   bool
	}{
		"the same id":                               {receipt{id: "a0"}, true},
		"in decimal, from the same number":          {receipt{id: "160", to: "15551234567"}, true},
		"in decimal, from another number":           {receipt{id: "160", to: "15559999999"}, false},
		"another id":                                {receipt{id: "a1", to: "15551234567"}, false},
		"no id at all":                              {receipt{}, false},
		"an account at another service has none":    {receipt{id: "a0"}, false},
		"an account of another name there has none": {receipt{id: "a0"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			from := p
			switch {
			case strings.Contains(name, "another service"):
				from = openWith(t, notes, "127.0.0.1:2", nil)
			case strings.Contains(name, "another name"):
				from = openWith(t, notes, "127.0.0.1:1", map[string]any{"system_id": "other"})
			}
			found, err := from.recall(t.Context(), tt.receipt)
			if err != nil || (found != nil) != tt.found {
				t.Errorf("recall() = %+v, %v, want found = %v", found, err, tt.found)
			}
		})
	}
}

func TestAReceiptIsBroughtAgainWhileTheNotesAreAway(t *testing.T) {
	server := redistest.Start(t)
	notes := notesIn(t, server)
	s := startSMSC(t)
	ids := sentBefore(t, s, notes, delivery("n1.0.0"), 1)
	p := openWith(t, notes, s.address, nil)
	got := receipts(p)

	server.Kill()
	if err := p.proved(t.Context(), receipt{id: ids[0], state: "DELIVRD"}); !errors.Is(err, push.ErrAway) {
		t.Errorf("proved() error = %v, want away, so that the service brings it again", err)
	}
	server.Restart()
	deadline := time.Now().Add(20 * time.Second)
	for p.proved(t.Context(), receipt{id: ids[0], state: "DELIVRD"}) != nil && time.Now().Before(deadline) {
	}
	select {
	case r := <-got:
		if r.Stage != push.Delivered {
			t.Errorf("receipt = %+v", r)
		}
	default:
		t.Error("the receipt is lost")
	}
}

func TestARefusedPartVoidsTheOthersReceiptsEverywhere(t *testing.T) {
	notes := notesIn(t, redistest.Start(t))
	s := startSMSC(t)
	s.order(`{"status": [0, 69]}`) // the second part is refused
	p := openWith(t, notes, s.address, nil)
	receipts(p)
	d := delivery("n1.0.0")
	d.Body = strings.Repeat("x", 200)
	if _, err := p.Send(t.Context(), d); err == nil {
		t.Fatal("Send() took a message of which a part was refused")
	}
	id := s.next("answered")["id"].(string)

	other := openWith(t, notes, s.address, nil)
	got := receipts(other)
	if err := other.proved(t.Context(), receipt{id: id, state: "DELIVRD"}); err != nil {
		t.Fatal(err)
	}
	if len(got) > 0 {
		t.Errorf("a refused message is proven: %+v", <-got)
	}
}

func TestNotesSayWhoWaits(t *testing.T) {
	notes := notesIn(t, redistest.Start(t))
	p := openWith(t, notes, "127.0.0.1:1", nil)
	receipts(p)
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, end := range []time.Time{until, until.Add(-time.Minute)} { // the later one counts
		if err := notes.Await(context.WithoutCancel(t.Context()), "demo", name, end); err != nil {
			t.Fatal(err)
		}
	}
	if err := notes.Await(t.Context(), "old", name, time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	all, err := notes.Awaiting(t.Context())
	if err != nil || len(all) != 1 || all[0].App != "demo" || all[0].Provider != name || !all[0].Until.Equal(until) {
		t.Errorf("Awaiting() = %+v, %v", all, err)
	}
}

func TestReferencesOfSixteenBits(t *testing.T) {
	s := startSMSC(t)
	p := open(t, s.address, map[string]any{"reference_bits": 16})
	d := delivery("n1.0.0")
	for text, parts := range map[string]int{
		strings.Repeat("x", 2*152): 2, strings.Repeat("x", 2*153): 3, strings.Repeat("ł", 2*66): 2, strings.Repeat("ł", 2*66+1): 3,
	} {
		d.Title, d.Body = "", text
		w, err := p.Weigh(d)
		if err != nil || w.Segments != parts || w.CostMicros != int64(parts)*50_000 {
			t.Errorf("Weigh() = %+v, %v, want %d segments at 0.05", w, err, parts)
		}
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		var whole any
		for range parts {
			whole = s.next("answered")["whole"]
		}
		if whole != text {
			t.Errorf("the phone reads %v, want %.20s…", whole, text)
		}
	}
}

func TestOverriddenTextAndSender(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"text":"x","from":"Herald","ttl_seconds":60}`:        "",
		`{"from":"ANameTooLong","ttl_seconds":0,"sound":true}`: "sound from ttl_seconds",
		`{"from":"ANameTooLong","ttl_seconds":0}`:              "from ttl_seconds",
	})
	s := startSMSC(t)
	p := open(t, s.address, nil)
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{name: json.RawMessage(`{"text":"short","from":"Herald","ttl_seconds":60}`)}
	if _, err := p.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	a := s.next("answered")
	until, err := time.Parse(time.RFC3339, a["validity"].(string))
	if a["whole"] != "short" || a["from"] != "Herald" || err != nil || time.Until(until) > time.Minute {
		t.Errorf("submitted %v", a)
	}
}
