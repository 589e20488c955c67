package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

func TestRefusedCredentialsAreRetractedAndItIsMadeKnown(t *testing.T) {
	ctx := t.Context()
	keys, err := seal.Parse(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "h.db"), keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.CreateApp(ctx, push.App{ID: "demo", Name: "Demo"}); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	set := providers.NewSet(store, map[string]providers.Opener{"fcm": func(c []byte) (providers.Provider, error) {
		return vendorOf{good: bytes.Contains(c, []byte("good"))}, nil
	}}, nil)
	reg := prometheus.NewRegistry()
	set.TriedBy(newTrials(store, set.Changed, slog.New(slog.NewJSONHandler(&said, nil)), reg, slices.Values([]string{"fcm"})))
	give := func(secret string) {
		t.Helper()
		if _, err := store.PutCredentials(ctx, "demo", "fcm", []byte(`{"secret":"`+secret+`"}`)); err != nil {
			t.Fatal(err)
		}
		set.Changed("demo", "fcm")
	}
	send := func() error {
		_, err := set.Send(ctx, "demo", "fcm", &push.Delivery{Notification: &push.Notification{ID: "n1"}, ID: "n1.0.0"})
		return err
	}
	give("good")
	if err := send(); err != nil {
		t.Fatal(err)
	}
	give("bad")
	for i := range 3 {
		if send() == nil {
			t.Fatalf("send %d with bad credentials is taken", i)
		}
	}
	if err := send(); err != nil {
		t.Errorf("the good ones are not in force again: %v", err)
	}
	info, err := credentials{store, set.Changed}.CredentialsInfo(ctx, "demo", "fcm")
	const why = "the service refused the first 3 message(s) with newer credentials: wrong key"
	if err != nil || info.RetractedWhy != why || info.Version != 3 {
		t.Errorf("GET shows %+v, %v", info, err)
	}
	if shown, err := reg.Gather(); err != nil || len(shown) != 1 || shown[0].GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Errorf("the metric says %v, %v", shown, err)
	}
	if log := said.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, why) || strings.Contains(log, "bad") {
		t.Errorf("the log says %s", log)
	}
	rows, err := lanes{oneLane{}, store}.Lanes(ctx, "demo")
	if err != nil || len(rows) != 1 || rows[0].Note != "earlier credentials are in force again: "+why || laneOnPage(rows[0]).Note == "" {
		t.Errorf("lanes = %+v, %v", rows, err)
	}
}

// vendorOf takes everything under good credentials.
type vendorOf struct{ good bool }

func (v vendorOf) Send(context.Context, *push.Delivery) (push.Answer, error) {
	if v.good {
		return push.Answer{Stage: push.Accepted}, nil
	}
	return push.Answer{}, &push.Error{Provider: "fcm", Kind: push.ErrCredentials, Detail: "wrong key"}
}
func (vendorOf) Weigh(*push.Delivery) (push.Payload, error) { return push.Payload{}, nil }

// oneLane knows of one.
type oneLane struct{}

func (oneLane) Lanes(context.Context, string) ([]push.Lane, error) {
	return []push.Lane{{App: "demo", Provider: "fcm", State: push.LaneOpen}}, nil
}
func (oneLane) SwitchLane(context.Context, string, string, string) error { return nil }
