package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/providers/sandbox"
)

// An A/B runs and all is well. Then one of the vendors that the selector uses
// takes messages and delivers nothing: its side does worse than the fixed order,
// which does not use that vendor, and is given up. The choice, the API and the
// command line say so.
func TestAnOutageEndsAnABByItsGuardrail(t *testing.T) {
	t.Parallel()
	const devices = 320 // about half on each side
	in := install(t, 0, "selector: {check: 3s, exchange: 1s}")
	if _, err := in.herald.PutCredentials(t.Context(), "shop", "fcm", in.vendor.Credentials("fcm")); err != nil {
		t.Fatal(err)
	}
	in.ask(in.start("api,worker"))
	ids := make([]string, devices)
	var group errgroup.Group
	group.SetLimit(16)
	for d := range devices {
		ids[d] = deviceName(d)
		group.Go(func() error {
			_, err := in.herald.PutDevice(t.Context(), client.Device{
				ID: ids[d], Platform: "ios", Maker: "Apple", Country: "DE",
				Addresses: []client.Address{{Provider: "apns", Token: apnsToken(ids[d])}, {Provider: "fcm", Token: hiddenToken(d)}},
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	in.prove(t, ids)
	rule := client.SelectionRule{Mode: "ab", Order: []string{"fcm"}, Share: 0.5}
	if _, err := in.herald.SetSelection(t.Context(), "shop", client.Selection{Rules: []client.SelectionRule{rule}}); err != nil {
		t.Fatal(err)
	}
	selection := func() client.Selection {
		t.Helper()
		s, err := in.herald.Selection(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	attempts := func() (auto, static client.SelectionSide) {
		for _, side := range selection().Sides {
			if side.Policy == "auto" {
				auto = side
			} else {
				static = side
			}
		}
		return auto, static
	}
	round := 0
	send := func() {
		t.Helper()
		round++
		n := client.Notification{
			ID: fmt.Sprint("round-", round), To: client.Audience{Devices: ids}, Title: "Hi", Class: client.Transactional,
			Route: &client.Route{Until: client.Accepted},
		}
		if _, err := in.herald.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		in.allDone([]string{n.ID}, time.Minute)
	}
	for range 2 {
		send()
	}
	eventually(t, 90*time.Second, "both sides are counted, and all has arrived", func() error {
		auto, static := attempts()
		if auto.Attempts < 200 || static.Attempts < 200 || auto.Arrived < auto.Attempts || static.Arrived < static.Attempts {
			return fmt.Errorf("%+v, %+v", auto, static)
		}
		return nil
	})
	if auto, _ := attempts(); auto.Guard != "" {
		t.Fatalf("the selector's side is given up before anything happened: %+v", selection().Sides)
	}
	if err := in.vendor.Set("apns", sandbox.Settings{Outage: sandbox.Silent}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 90*time.Second, "the guardrail falls", func() error {
		if auto, _ := attempts(); auto.Guard == "" {
			send()
			return fmt.Errorf("%+v", selection().Sides)
		}
		return nil
	})
	auto, static := attempts()
	t.Logf("after %d rounds: %+v, %+v", round, auto, static)
	plan, err := in.herald.Validate(t.Context(), client.Notification{
		To: client.Audience{Devices: ids[:100]}, Title: "Hi", Class: client.Transactional,
	})
	if err != nil {
		t.Fatal(err)
	}
	fell := 0
	for _, d := range plan.Sample {
		if d.Roads[0].Provider != "fcm" || d.Decision == nil || d.Decision.Policy != "static" {
			t.Errorf("%s is sent by %+v, %+v; want the fixed order", d.Device, d.Roads[0], d.Decision)
		}
		if strings.Contains(d.Roads[0].Why, "guardrail fell: the selector delivered ") {
			fell++
		}
	}
	if plan.Roads[0].Provider != "fcm" || plan.Roads[0].Devices != 100 {
		t.Errorf("roads = %+v, want fcm first for all", plan.Roads)
	}
	if fell == 0 {
		t.Errorf("no device of %+v is told that the guardrail fell", plan.Sample)
	}
	out := in.must("selector", "mode", "--app", "shop", "--url", in.herald.URL, "--key", in.herald.Key)
	if !strings.Contains(out, "the selector delivered ") {
		t.Errorf("herald selector mode says\n%s\nwant it to say that the side is given up", out)
	}
}

// prove has the devices report at once what vendors show them.
func (in *installation) prove(t *testing.T, ids []string) {
	t.Helper()
	device := map[string]string{}
	for d, id := range ids {
		device[apnsToken(id)], device[hiddenToken(d)] = id, id
	}
	shown := make(chan client.Receipt, 100_000)
	remove := in.vendor.OnShow(func(m sandbox.Message) {
		shown <- client.Receipt{ID: m.Data["herald_id"], Event: client.Delivered, Device: device[m.Token]}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r := range shown {
			some := []client.Receipt{r}
			for len(some) < 500 && len(shown) > 0 {
				some = append(some, <-shown)
			}
			if _, err := in.herald.Receipts(t.Context(), some); err != nil && t.Context().Err() == nil {
				t.Errorf("Receipts() = %v", err)
			}
		}
	}()
	t.Cleanup(func() {
		remove()
		close(shown)
		<-ended
	})
}
