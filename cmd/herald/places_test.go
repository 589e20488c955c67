package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/need"
)

// TestAFenceRingsThePhoneThatCrossesIt walks a phone on the live connection into
// a fence, sends to who is near, and erases its person.
func TestAFenceRingsThePhoneThatCrossesIt(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	herald := &client.Client{URL: p.facts.URL, Key: p.facts.APIKey}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ann, _ := p.gadget("ann", strings.TrimPrefix(p.facts.MQTT, "mqtt://"), nil)
	_, err := herald.PutFence(ctx, client.Fence{
		ID: "gate", Circle: &client.Circle{Lat: 40, Lon: 180, Radius: 200}, On: []string{"enter", "exit"},
		Notification: []byte(`{"title":"The gate","data":{"floor":"2"}}`),
	})
	must(err)
	outside, inside := client.Position{Lat: 40, Lon: 179.99}, client.Position{Lat: 40, Lon: -179.9995}

	// Nobody has agreed yet: nothing is kept, and the phone hears why.
	_, err = herald.ReportPositions(ctx, "ann-go", inside)
	if problem := (*client.Problem)(nil); !errors.As(err, &problem) || problem.Code != "no_consent" {
		t.Fatalf("a report without consent: %v", err)
	}
	_, err = herald.PutConsent(ctx, "ann-go", client.Consent{Mode: "exact", Nearby: true})
	must(err)
	must(ann.Report(ctx, outside))
	must(ann.Report(ctx, inside))
	ann.await(t, "the gate's notification", func() bool { return len(ann.list(&ann.titles)) == 1 })
	ann.mu.Lock()
	n := ann.last
	ann.mu.Unlock()
	if n.Title != "The gate" || n.Data["fence"] != "gate" || n.Data["crossing"] != "enter" || n.Data["floor"] != "2" {
		t.Errorf("the gate says %+v", n)
	}

	// Who is near hears it, and who is not does not.
	crowd, err := herald.PreviewPlaces(ctx, client.Audience{Near: &client.Circle{Lat: 40, Lon: 180, Radius: 1000}})
	must(err)
	if crowd.Devices != 1 {
		t.Errorf("%d devices are near", crowd.Devices)
	}
	for title, lat := range map[string]float64{"far": -40, "near": 40} {
		_, err = herald.Send(ctx, client.Notification{To: client.Audience{Near: &client.Circle{Lat: lat, Lon: 180, Radius: 1000}, Filter: `user = "ann"`}, Title: title})
		must(err)
	}
	ann.await(t, "what goes to who is near", func() bool { return slices.Contains(ann.list(&ann.titles), "near") })
	if slices.Contains(ann.list(&ann.titles), "far") {
		t.Error("who is not near heard it too")
	}
	page, err := herald.Nearby(ctx, client.NearbyQuery{Lat: 40, Lon: 180, Radius: 3000})
	must(err)
	if len(page.Found) != 1 || page.Found[0].User != "ann" {
		t.Errorf("nearby: %+v", page.Found)
	}

	// Her erasure leaves nothing of it.
	_, err = call(ctx, p.facts.URL, p.facts.APIKey, http.MethodPost, "/v1/users/ann:erase", nil, nil)
	must(err)
	eventually(t, time.Minute, "nobody is near", func() error {
		crowd, err := herald.PreviewPlaces(ctx, client.Audience{Near: &client.Circle{Lat: 40, Lon: 180, Radius: 1000}})
		if err == nil && crowd.Devices != 0 {
			err = errors.New("she is still there")
		}
		return err
	})
}
