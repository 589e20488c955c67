package sqlstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestConsentsAndLastPlaces(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		put(t, s, device("d1"), device("d2"), device("d3"))
		for id, mode := range map[string]push.PlaceMode{"d1": push.PlaceExact, "d2": push.PlaceCoarse} {
			if err := s.PutConsent(t.Context(), &push.Consent{App: "demo", Device: id, Mode: mode, Nearby: id == "d2"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.PutConsent(t.Context(), &push.Consent{App: "demo", Device: "nobody", Mode: push.PlaceExact}); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("consent of nobody: %v", err)
		}
		all, err := s.Consents(t.Context(), "demo", []string{"d3", "nobody", "d1", "d2"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range all {
			got = append(got, fmt.Sprint(c.Mode, c.Nearby))
		}
		if want := []string{"off" + "false", "false", "exactfalse", "coarsetrue"}; !slices.Equal(got, want) {
			t.Errorf("consents = %q, want %q", got, want)
		}

		at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		report := func(lat float64, at time.Time) {
			t.Helper()
			var ps []push.Position
			for _, id := range []string{"d1", "d2", "d3", "nobody"} {
				ps = append(ps, push.Position{Device: id, Lat: lat, Lon: 2, Accuracy: 5, At: at})
			}
			if err := s.PutLastPlaces(t.Context(), "demo", ps); err != nil {
				t.Fatal(err)
			}
		}
		says := func(id string) *push.Location {
			t.Helper()
			d, err := s.Device(t.Context(), "demo", id)
			if err != nil {
				t.Fatal(err)
			}
			return d.Location
		}
		report(1, at)
		report(9, at.Add(-time.Minute)) // older, and late
		if l := says("d1"); l == nil || l.Lat != 1 || l.Lon != 2 || l.Accuracy != 5 || !l.At.Equal(at) {
			t.Errorf("the record says %+v", l)
		}
		if l := says("d3"); l != nil {
			t.Errorf("without consent the record says %+v", l)
		}

		// A registration that says nothing of it leaves it, also if it was read and
		// is written again; one that says something is believed.
		d, err := s.Device(t.Context(), "demo", "d1")
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, d)
		put(t, s, device("d1"))
		if l := says("d1"); l == nil || l.Lat != 1 || !l.At.Equal(at) {
			t.Errorf("after a registration the record says %+v", l)
		}
		given := device("d1")
		given.Location = &push.Location{Lat: 7, Lon: 8}
		put(t, s, given)
		if l := says("d1"); l == nil || *l != (push.Location{Lat: 7, Lon: 8}) {
			t.Errorf("after the app's word the record says %+v", l)
		}
		put(t, s, device("d1"))
		if l := says("d1"); l != nil {
			t.Errorf("the app's word outlived its registration: %+v", l)
		}

		if err := s.PutConsent(t.Context(), &push.Consent{App: "demo", Device: "d2", Mode: push.PlaceOff}); err != nil {
			t.Fatal(err)
		}
		if l := says("d2"); l != nil {
			t.Errorf("after the consent was withdrawn the record says %+v", l)
		}
		report(3, at.Add(time.Minute)) // one that was under way
		if l := says("d2"); l != nil {
			t.Errorf("a report that was under way is in the record: %+v", l)
		}
	})
}

func TestAmongKeepsTheOrder(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ios := device("d2")
		ios.Platform = "ios"
		put(t, s, device("d1"), ios, device("d3"))
		for filter, want := range map[string][]string{"": {"d3", "d1", "d2"}, `platform = "android"`: {"d3", "d1"}, `platform = "web"`: {}} {
			got, err := s.Among(t.Context(), "demo", []string{"d3", "nobody", "d1", "d2"}, filter)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("Among(%q) = %v, %v; want %v", filter, got, err, want)
			}
		}
		if _, err := s.Among(t.Context(), "demo", []string{"d1"}, "platform ="); err == nil {
			t.Error("a filter that is none was taken")
		}
	})
}

func TestTheMapTellsItsChanges(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		circle := push.Shape{Circle: &push.Circle{Lat: 1, Lon: 2, Radius: 3}}
		fence := &push.Fence{
			App: "demo", ID: "f1", Name: "F", Shape: push.Shape{Polygon: []push.Location{{Lat: 1}, {Lon: 1}, {}}}, On: []push.Crossing{push.Enter, push.Dwell},
			DwellSeconds: 60, CooldownSeconds: 5, Schedule: &push.OpeningTime{From: "09:00", To: "18:00", Timezone: "UTC"},
			Request: json.RawMessage(`{"title":"Hi"}`), Notification: &push.Notification{Title: "Hi"}, TTLSeconds: 30,
		}
		place := &push.Place{App: "demo", ID: "p1", Name: "P", Kind: "shop", Shape: circle, Data: map[string]string{"a": "b"}}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.PutFence(t.Context(), fence))
		must(s.PutPlace(t.Context(), place))
		must(s.PutPlace(t.Context(), &push.Place{App: "other", ID: "p1", Name: "O", Shape: circle}))

		gotFence, err := s.Fence(t.Context(), "demo", "f1")
		must(err)
		if !reflect.DeepEqual(gotFence, fence) {
			t.Errorf("the fence came back as %+v, not %+v", gotFence, fence)
		}
		gotPlace, err := s.Place(t.Context(), "demo", "p1")
		must(err)
		if !reflect.DeepEqual(gotPlace, place) {
			t.Errorf("the place came back as %+v, not %+v", gotPlace, place)
		}
		all, err := s.PlaceChanges(t.Context(), "demo", 0, 10)
		must(err)
		if len(all) != 2 || !reflect.DeepEqual(all[0].Fence.Notification, fence.Notification) || all[1].Place.Name != "P" || all[0].Revision >= all[1].Revision {
			t.Fatalf("changes = %+v", all)
		}
		seen := all[1].Revision
		must(s.DeleteFence(t.Context(), "demo", "f1"))
		must(s.DeletePlace(t.Context(), "demo", "p1"))
		must(s.PutPlace(t.Context(), place))
		all, err = s.PlaceChanges(t.Context(), "demo", seen, 10)
		must(err)
		if len(all) != 2 || all[0].GoneFence != "f1" || all[1].Place == nil {
			t.Errorf("later changes = %+v", all)
		}
		revisions, err := s.PlaceRevisions(t.Context())
		must(err)
		if revisions["demo"] != all[1].Revision || revisions["other"] != 1 {
			t.Errorf("revisions = %v", revisions)
		}
		if err := s.DeleteFence(t.Context(), "demo", "f1"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.Fence(t.Context(), "demo", "f1"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("a fence that is gone: %v", err)
		}
		if list, err := s.Fences(t.Context(), "demo", "", 10); err != nil || len(list) != 0 {
			t.Errorf("fences = %v, %v", list, err)
		}
		if list, err := s.Places(t.Context(), "demo", "", 10); err != nil || len(list) != 1 {
			t.Errorf("places = %v, %v", list, err)
		}
	})
}
