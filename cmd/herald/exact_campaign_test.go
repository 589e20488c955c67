package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// A campaign is paused in the middle, its worker dies with what it has in hand,
// the campaign goes on, and every device has it once.
func TestACampaignIsCountedExactlyThroughPauseAndDeath(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: asynq hands a dead worker's tasks over when their lease has run out")
	}
	t.Parallel()
	devices, _ := strconv.Atoi(os.Getenv("HERALD_CAMPAIGN_DEVICES")) // make crash has more of them
	if devices == 0 {
		devices = 5000
	}
	in := install(t, 0)
	in.audience(devices)
	if err := in.vendor.Set("apns", sandbox.Settings{LatencyMs: 20, JitterMs: 20}); err != nil {
		t.Fatal(err)
	}
	shown := in.tally()
	worker := in.start("worker")
	n := client.Notification{ID: "campaign", To: client.Audience{All: true}, Title: "Hi", Class: client.Marketing, RatePerMinute: min(12*devices, 1_200_000)}
	if _, err := in.herald.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	progress := func(what string, is func(p client.Progress) bool) client.Progress {
		t.Helper()
		var last client.Progress
		eventually(t, 4*time.Minute, what, func() (err error) {
			if last, err = in.herald.Progress(t.Context(), n.ID); err != nil {
				return err
			}
			if err := addsUp(last); err != nil {
				t.Fatal(err)
			}
			if !is(last) {
				return fmt.Errorf("%+v", last)
			}
			return nil
		})
		return last
	}
	progress("some of it has left", func(p client.Progress) bool { return p.Counts.Accepted > devices/10 })
	if _, err := in.herald.Pause(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	worker.kill()
	paused := progress("it is paused", func(p client.Progress) bool { return p.State == client.Paused || p.State == client.Done })
	if paused.State == client.Done {
		t.Fatalf("it was done before it was paused: %+v", paused)
	}
	in.start("worker")
	if _, err := in.herald.Resume(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	done := progress("it is done", func(p client.Progress) bool { return p.State == client.Done })
	if done.Counts.Deliveries != devices || done.Counts.Accepted != devices {
		t.Errorf("counts = %+v, want %d accepted", done.Counts, devices)
	}
	showing, messages, requests := shown()
	if showing != devices || messages != devices {
		t.Errorf("%d devices show %d messages, want %d that show one each", showing, messages, devices)
	}
	t.Logf("paused at %d of %d; %d requests to the vendor", paused.Counts.Accepted, devices, requests)
}

// audience registers devices straight in the database.
func (in *installation) audience(devices int) {
	in.t.Helper()
	keys, err := seal.Parse(installedKey)
	if err != nil {
		in.t.Fatal(err)
	}
	store, err := sqlstore.Open(in.t.Context(), in.database, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		in.t.Fatal(err)
	}
	defer store.Close()
	all := make([]*push.Device, devices)
	for i := range all {
		id := deviceName(i)
		all[i] = &push.Device{
			App: "shop", ID: id, Platform: "ios", Maker: "apple", Country: "DE",
			Addresses: []push.Address{{Provider: "apns", Token: apnsToken(id)}},
		}
	}
	for some := range slices.Chunk(all, 5000) {
		if _, err := store.PutDevices(in.t.Context(), "shop", some); err != nil {
			in.t.Fatal(err)
		}
	}
}

// tally counts what the vendors show from now on: devices, their messages, and the
// requests for it. A message that comes twice takes its own place.
func (in *installation) tally() func() (devices, messages, requests int) {
	type message struct{ token, id string }
	var mu sync.Mutex
	seen, tokens, requests := map[message]bool{}, map[string]bool{}, 0
	in.t.Cleanup(in.vendor.OnShow(func(m sandbox.Message) {
		mu.Lock()
		defer mu.Unlock()
		seen[message{m.Token, m.Collapse}], tokens[m.Token] = true, true
		requests++
	}))
	return func() (int, int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(tokens), len(seen), requests
	}
}
