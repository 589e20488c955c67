package places

import (
	"fmt"
	"slices"
	"testing"

	"github.com/herald-push/herald/push"
)

// found is a list of neighbours as text.
func found(list []Neighbour) (all []string) {
	for _, n := range list {
		all = append(all, n.Type+" "+n.User+n.ID)
	}
	return all
}

func TestNearbyShowsWhoAgreedAndNotWhereTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := point{52.52, 13.405}
	w.device("me", push.PlaceExact, true)
	w.device("shy", push.PlaceExact, false)
	for i := range 5 {
		id := fmt.Sprint("p", i)
		w.device(id, push.PlaceExact, true)
		at := offset(here, float64(i+1)*2000, 0)
		w.at(id, at.lat, at.lon)
	}
	w.at("me", here.lat, here.lon)
	w.at("shy", here.lat, here.lon)
	second := &push.Device{App: "demo", ID: "p0-tablet", User: "u-p0", Platform: "ios"} // of somebody who is there already
	if _, err := w.store.PutDevice(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := w.PutConsent(t.Context(), &push.Consent{App: "demo", Device: "p0-tablet", Mode: push.PlaceExact, Nearby: true}); err != nil {
		t.Fatal(err)
	}
	far := offset(here, 9000, 0)
	w.at("p0-tablet", far.lat, far.lon)
	shop := offset(here, 0, 5000)
	for _, p := range []push.Place{
		{ID: "shop", Kind: "shop", Name: "Shop", Shape: push.Shape{Circle: &push.Circle{Lat: shop.lat, Lon: shop.lon, Radius: 50}}},
		{ID: "bar", Kind: "bar", Name: "Bar", Shape: push.Shape{Circle: &push.Circle{Lat: here.lat, Lon: here.lon, Radius: 50}}},
	} {
		p.App = "demo"
		if err := w.store.PutPlace(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Changed(t.Context(), "demo"); err != nil {
		t.Fatal(err)
	}
	everything := Query{Circle: push.Circle{Lat: here.lat, Lon: here.lon, Radius: 20_000}, People: true, Places: true, Self: "me", Limit: 100}
	all, next, err := w.Nearby(t.Context(), "demo", everything)
	if err != nil || next != "" {
		t.Fatal(next, err)
	}
	got := found(all)
	slices.Sort(got)
	want := []string{"person u-p0", "person u-p1", "person u-p2", "person u-p3", "person u-p4", "place bar", "place shop"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	for i, n := range all {
		if i > 0 && n.Distance < all[i-1].Distance {
			t.Errorf("%s at %.0f m comes after one at %.0f m", n.User+n.ID, n.Distance, all[i-1].Distance)
		}
		if n.Type != "person" {
			continue
		}
		var number int
		if _, err := fmt.Sscanf(n.User, "u-p%d", &number); err != nil {
			t.Fatal(err)
		}
		real := offset(here, float64(number+1)*2000, 0)
		off := distance(real, point{n.Lat, n.Lon})
		if off > 1300 {
			t.Errorf("%s is shown %.0f m away", n.User, off)
		}
		if shown := distance(here, point{n.Lat, n.Lon}); n.Distance < shown-1 || n.Distance > shown+1 {
			t.Errorf("%s is %.0f m away by its position and %.0f m by its distance: more is told than is shown", n.User, shown, n.Distance)
		}
	}

	// Pages put together are the same list.
	var paged []string
	q := everything
	for q.Limit = 2; ; {
		page, next, err := w.Nearby(t.Context(), "demo", q)
		if err != nil {
			t.Fatal(err)
		}
		paged = append(paged, found(page)...)
		if q.After = next; next == "" {
			break
		}
		if len(paged) > 20 {
			t.Fatalf("the pages never end: %q", paged)
		}
	}
	if want := found(all); !slices.Equal(paged, want) {
		t.Errorf("by pages %q, want %q", paged, want)
	}
	q = everything
	q.People, q.Places, q.Kinds = false, false, []string{"shop"}
	if list, _, err := w.Nearby(t.Context(), "demo", q); err != nil || !slices.Equal(found(list), []string{"place shop"}) {
		t.Errorf("shops: %q, %v", found(list), err)
	}
	q.After = "nonsense!"
	if _, _, err := w.Nearby(t.Context(), "demo", q); err == nil {
		t.Error("a cursor that is none was taken")
	}
}

func TestABlurDependsOnTheSquareAlone(t *testing.T) {
	t.Parallel()
	p := &Places{parts: Parts{Secret: []byte("secret")}}
	here := coarse(point{52.52, 13.405})
	shown := p.blur("demo", "d", here)
	for i := range 50 {
		step := offset(here, float64(i*8)-200, float64(i*6)-150)
		if got := p.blur("demo", "d", step); got != shown {
			t.Fatalf("within one square it is shown at %+v and %+v", shown, got)
		}
	}
	if p.blur("demo", "e", here) == shown || p.blur("other", "d", here) == shown {
		t.Error("two devices are shown at one point")
	}
	for _, at := range []point{{90, 0}, {-90, 179}, {0, 180}, {0, -180}, {89.9999, -180}} {
		if b := p.blur("demo", "d", at); b.lat > 90 || b.lat < -90 || b.lon > 180 || b.lon < -180 || distance(coarse(at), b) > blurMost+20 { // metres are a little longer at the poles
			t.Errorf("%+v is shown at %+v, %.0f m from its square", at, b, distance(coarse(at), b))
		}
	}
}
