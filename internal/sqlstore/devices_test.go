package sqlstore_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func full() *push.Device {
	return &push.Device{
		App: "demo", ID: "phone-1", User: "ann", Platform: "ios", Maker: "Apple", Model: "iPhone17,1", OS: "26.1",
		AppVersion: "4.2", Country: "DE", Carrier: "Tele <&> “kom”", Locale: "de-DE", Timezone: "Europe/Berlin",
		Tags: []string{"beta", "news & more", "ünï"}, Location: &push.Location{Lat: 52, Lon: -13.405},
		Addresses: []push.Address{
			{Provider: "apns", Token: "aabb", Topic: "com.example", Environment: "sandbox"},
			{Provider: "live", Token: "phone-1"},
			{Provider: "sms", Token: "+4930123"},
		},
	}
}

func TestDeviceComesBackAsItWasPut(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		tests := map[string]*push.Device{
			"with everything":  full(),
			"with nothing":     {App: "demo", ID: "bare", Platform: "web"},
			"on the null spot": {App: "demo", ID: "null", Platform: "web", Location: &push.Location{}},
			"odd name":         {App: "demo", ID: `a'b"c\d%_$1?`, Platform: "web", Tags: []string{"\u2028"}},
		}
		for name, d := range tests {
			t.Run(name, func(t *testing.T) {
				before := time.Now().Add(-time.Millisecond)
				if _, err := s.PutDevice(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				got, err := s.Device(t.Context(), d.App, d.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, d) {
					t.Errorf("Device() =\n%+v, want\n%+v", got, d)
				}
				if got.CreatedAt.Before(before) || !got.UpdatedAt.Equal(got.CreatedAt) {
					t.Errorf("created %v, updated %v; want both now", got.CreatedAt, got.UpdatedAt)
				}
			})
		}
	})
}

func TestPutDeviceReplacesAllButTheTimeOfCreation(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		first := full()
		put(t, s, first)
		second := &push.Device{
			App: "demo", ID: first.ID, Platform: "android", User: "bob", Tags: []string{"beta"},
			Addresses: []push.Address{{Provider: "apns", Token: "ccdd"}},
		}
		if moved := put(t, s, second); len(moved) != 0 {
			t.Errorf("PutDevice() moved = %v, want none: the device had its own address", moved)
		}

		got, err := s.Device(t.Context(), "demo", first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, second) {
			t.Errorf("Device() =\n%+v, want\n%+v", got, second)
		}
		if !got.CreatedAt.Equal(first.CreatedAt) || got.UpdatedAt.Before(first.UpdatedAt) {
			t.Errorf("created %v, updated %v; want created as the first, %v", got.CreatedAt, got.UpdatedAt, first.CreatedAt)
		}
		for tag, want := range map[string]int{"beta": 1, "ünï": 0} {
			if n, err := s.Count(t.Context(), "demo", push.Audience{Tag: tag}); n != want || err != nil {
				t.Errorf("Count(tag %s) = %d, %v; want %d", tag, n, err, want)
			}
		}
	})
}

func TestAnAddressBelongsToTheLastDeviceThatClaimsIt(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		put(t, s, device("old", "fcm:t1", "sms:+1"), device("older", "fcm:t2"))
		elsewhere := device("old", "fcm:t1")
		elsewhere.App = "other"
		put(t, s, elsewhere)

		if moved := put(t, s, device("new", "fcm:t1", "apns:t2")); !slices.Equal(moved, []string{"old"}) {
			t.Errorf("PutDevice() moved = %v, want [old]", moved)
		}
		if moved := put(t, s, device("new", "fcm:t1", "apns:t2")); len(moved) != 0 {
			t.Errorf("PutDevice() again moved = %v, want none", moved)
		}
		want := map[string]string{"old": "[{sms +1  }]", "older": "[{fcm t2  }]", "new": "[{apns t2  } {fcm t1  }]"}
		for id, addresses := range want {
			if d, err := s.Device(t.Context(), "demo", id); err != nil || fmt.Sprint(d.Addresses) != addresses {
				t.Errorf("%s has %v, %v; want %s", id, d.Addresses, err, addresses)
			}
		}
		if d, err := s.Device(t.Context(), "other", "old"); err != nil || len(d.Addresses) != 1 {
			t.Errorf("the other app's device lost its address: %v, %v", d, err)
		}
	})
}

func TestManyDevicesAtOnceAreAsIfOneAfterTheOther(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		put(t, s, device("before", "fcm:t0"))
		many := []*push.Device{device("a", "fcm:t1"), device("b", "fcm:t1", "sms:+1"), device("a", "fcm:t0", "sms:+1")}
		for i := range 600 { // more than one statement
			many = append(many, device(fmt.Sprintf("m%03d", i), fmt.Sprintf("fcm:m%d", i)))
		}
		many = append(many, device("c", "fcm:m1"))
		moved, err := s.PutDevices(t.Context(), "demo", many)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(moved, "before") || slices.Contains(moved, "m000") {
			t.Errorf("PutDevices() moved = %v, want before among them", moved)
		}
		want := map[string]string{"a": "[{fcm t0  } {sms +1  }]", "b": "[{fcm t1  }]", "c": "[{fcm m1  }]", "m001": "[]", "m002": "[{fcm m2  }]", "before": "[]"}
		for id, addresses := range want {
			if d, err := s.Device(t.Context(), "demo", id); err != nil || fmt.Sprint(d.Addresses) != addresses {
				t.Errorf("%s has %v, %v; want %s", id, d.Addresses, err, addresses)
			}
		}
		if n, err := s.Count(t.Context(), "demo", push.Audience{All: true}); n != 604 || err != nil {
			t.Errorf("Count() = %d, %v; want 604", n, err)
		}
		if many[0].CreatedAt.IsZero() == many[2].CreatedAt.IsZero() {
			t.Error("of two devices with one id the last one alone is written and gets its times")
		}
	})
}

func TestPutDeviceNamesEveryFault(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		d := &push.Device{
			App: "demo", Model: "a\x00b", Maker: "\xff", Tags: []string{"ok", ""}, Location: &push.Location{Lat: math.NaN()},
			Addresses: []push.Address{{Provider: "fcm", Token: "planted-1"}, {Provider: "fcm", Token: "planted-2\x00"}, {Token: "x"}},
		}
		_, err := s.PutDevice(t.Context(), d)
		var invalid *push.Invalid
		if !errors.As(err, &invalid) {
			t.Fatalf("PutDevice() error = %v, want *push.Invalid", err)
		}
		var fields []string
		for _, f := range invalid.Faults {
			fields = append(fields, f.Field)
		}
		want := []string{"id", "maker", "model", "tags[1]", "location", "addresses[1].token", "addresses[1].provider", "addresses[2].provider"}
		if !slices.Equal(fields, want) {
			t.Errorf("faults in %v, want %v", fields, want)
		}
		if strings.Contains(err.Error(), "planted") {
			t.Errorf("the error repeats a token: %v", err)
		}

		stranger := device("x")
		stranger.App = "nobody"
		if _, err := s.PutDevice(t.Context(), stranger); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("PutDevice() in an unknown app: %v, want ErrNotFound", err)
		}
		if _, err := s.PutDevices(t.Context(), "demo", []*push.Device{device("y"), stranger}); !errors.As(err, &invalid) {
			t.Errorf("PutDevices() of two apps: %v, want *push.Invalid", err)
		}
		if _, err := s.Device(t.Context(), "demo", "y"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("a device of a refused list was kept: %v", err)
		}
	})
}

func TestDevicesKeepTheOrderAskedFor(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		put(t, s, device("a"), device("b"), device("c"))
		got, err := s.Devices(t.Context(), "demo", []string{"c", "nobody", "a", "bad\x00id", "c"})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, d := range got {
			if d == nil {
				ids = append(ids, "-")
			} else {
				ids = append(ids, d.ID)
			}
		}
		if want := []string{"c", "-", "a", "-", "c"}; !slices.Equal(ids, want) {
			t.Errorf("Devices() = %v, want %v", ids, want)
		}
		if got, err := s.Devices(t.Context(), "demo", nil); len(got) != 0 || err != nil {
			t.Errorf("Devices() of none = %v, %v", got, err)
		}
		if got, err := s.Devices(t.Context(), "other", []string{"a"}); got[0] != nil || err != nil {
			t.Errorf("Devices() shows another app's: %v, %v", got, err)
		}
	})
}

func TestDeleteDeviceFreesItsAddress(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		gone := device("gone", "fcm:t1")
		gone.Tags = []string{"beta"}
		put(t, s, gone)
		if err := s.DeleteDevice(t.Context(), "other", "gone"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("DeleteDevice() in another app: %v, want ErrNotFound", err)
		}
		if err := s.DeleteDevice(t.Context(), "demo", "gone"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Device(t.Context(), "demo", "gone"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("Device() after: %v, want ErrNotFound", err)
		}
		if err := s.DeleteDevice(t.Context(), "demo", "gone"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("DeleteDevice() again: %v, want ErrNotFound", err)
		}
		if n, err := s.Count(t.Context(), "demo", push.Audience{Tag: "beta"}); n != 0 || err != nil {
			t.Errorf("Count(tag) after = %d, %v; want 0", n, err)
		}
		if moved := put(t, s, device("next", "fcm:t1")); len(moved) != 0 {
			t.Errorf("moved = %v, want none", moved)
		}
	})
}

func TestForgetTakesOnlyTheAddressThatIsMeant(t *testing.T) {
	tests := map[string]struct {
		device string
		a      push.Address
		left   int
	}{
		"the dead token":                {"d", push.Address{Provider: "fcm", Token: "t1"}, 1},
		"a token replaced meanwhile":    {"d", push.Address{Provider: "fcm", Token: "t0"}, 2},
		"the token of another provider": {"d", push.Address{Provider: "apns", Token: "t1"}, 2},
		"a device that is gone":         {"gone", push.Address{Provider: "fcm", Token: "t1"}, 2},
	}
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				put(t, s, device("d", "fcm:t1", "sms:+1"))
				if err := s.Forget(t.Context(), "demo", tt.device, tt.a); err != nil {
					t.Fatal(err)
				}
				if d, err := s.Device(t.Context(), "demo", "d"); err != nil || len(d.Addresses) != tt.left {
					t.Errorf("addresses left = %v, %v; want %d", d.Addresses, err, tt.left)
				}
			})
		}
	})
}

func TestListPagesThroughAPrefix(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for _, id := range []string{"p", "p-1", "p-2", "p-é", "P-3", "q", "p%"} {
			put(t, s, device(id, "fcm:"+id))
		}
		tests := map[string]struct {
			prefix, after string
			limit         int
			want          []string
		}{
			"everything":           {"", "", 10, []string{"P-3", "p", "p%", "p-1", "p-2", "p-é", "q"}},
			"a prefix":             {"p-", "", 10, []string{"p-1", "p-2", "p-é"}},
			"its first page":       {"p-", "", 2, []string{"p-1", "p-2"}},
			"its second page":      {"p-", "p-2", 2, []string{"p-é"}},
			"no wildcard":          {"%", "", 10, nil},
			"a page behind it all": {"p-", "q", 10, nil},
			"not a text":           {"\x00", "", 10, nil},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				got, err := s.List(t.Context(), "demo", tt.prefix, tt.after, tt.limit)
				if err != nil {
					t.Fatal(err)
				}
				var ids []string
				for _, d := range got {
					ids = append(ids, d.ID)
				}
				if !slices.Equal(ids, tt.want) {
					t.Errorf("List() = %v, want %v", ids, tt.want)
				}
			})
		}
	})
}
