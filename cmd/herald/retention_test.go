package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/push"
)

type fewApps []push.App

func (a fewApps) Apps(context.Context) ([]push.App, error) { return a, nil }

func TestOldMessagesAreForgottenWhereTheAppWantsIt(t *testing.T) {
	t.Parallel()
	kept := data.NewMemory()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, app := range []string{"forgets", "keeps"} {
		for age := range 10 {
			_, err := kept.Append(t.Context(), &im.Draft{To: "bob", ChatMessage: im.ChatMessage{
				App: app, Sender: "ann", ClientID: fmt.Sprint(age), Kind: im.KindText, Body: []byte(`{"text":"hi"}`), At: now.AddDate(0, 0, age-9),
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	r := &retention{
		apps:     fewApps{{ID: "forgets", Policy: push.Policy{Chat: push.ChatPolicy{KeepDays: 3}}}, {ID: "keeps"}},
		messages: kept, now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler),
	}
	r.forget(t.Context())
	for app, want := range map[string]int{"forgets": 4, "keeps": 10} {
		left, err := kept.Following(t.Context(), app, im.DirectID("ann", "bob"), 0, 100)
		if err != nil || len(left) != want || left[len(left)-1].Seq != 10 {
			t.Errorf("%s has %d messages, %v; want %d", app, len(left), err, want)
		}
	}
}
