package sqlstore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// Values that devices have and expressions ask for: few, so that they meet, and
// odd, so that they tell the databases apart.
var (
	words    = []string{"", "xiaomi", "Xiaomi", "ÄPFEL", "äpfel", "DE", "de", "o'neil", `a"b`, "a%b", "日本", "日", `\`}
	versions = []string{"", "1", "2.9", "2.10", "2.10.0", "10", "iOS 18.1", "none", "2.10-beta", "0"}
	ages     = []string{"0s", "90m", "5h", "3d", "2w"}
	tags     = []string{"beta", "Beta", "o'neil", "日本"}
	roads    = []string{"apns", "fcm", "live"}
)

func drawDevice(t *rapid.T, i int) *push.Device {
	word := func(name string) string { return rapid.SampledFrom(words).Draw(t, name) }
	d := &push.Device{
		App: "demo", ID: fmt.Sprintf("d%02d", i), User: word("user"), Platform: rapid.SampledFrom([]string{"ios", "android", "web"}).Draw(t, "platform"),
		Maker: word("maker"), Model: word("model"), OS: rapid.SampledFrom(versions).Draw(t, "os"),
		AppVersion: rapid.SampledFrom(versions).Draw(t, "version"), Country: word("country"), Carrier: word("carrier"),
		Locale: word("locale"), Timezone: word("timezone"), Tags: rapid.SliceOfNDistinct(rapid.SampledFrom(tags), 0, 3, rapid.ID).Draw(t, "tags"),
	}
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(roads), 0, 3, rapid.ID).Draw(t, "roads") {
		d.Addresses = append(d.Addresses, push.Address{Provider: p, Token: p + d.ID})
	}
	return d
}

// drawFilter writes an expression of at most so many levels.
func drawFilter(t *rapid.T, depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			return "not (" + drawFilter(t, depth-1) + ")"
		case 1:
			return "(" + drawFilter(t, depth-1) + " or " + drawFilter(t, depth-1) + ")"
		case 2:
			return drawFilter(t, depth-1) + " and " + drawFilter(t, depth-1)
		}
	}
	field := rapid.SampledFrom(audience.Fields()).Draw(t, "field")
	quoted := func(all []string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rapid.SampledFrom(all).Draw(t, "value")) + `"`
	}
	order := rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "order")
	equal := rapid.SampledFrom([]string{"=", "!="}).Draw(t, "equal")
	switch field {
	case "tags":
		return `tags has ` + quoted(tags)
	case "addresses":
		return `addresses has ` + quoted(roads)
	case "seen", "created":
		return field + " " + order + " " + rapid.SampledFrom(ages).Draw(t, "age")
	case "app_version", "os_version":
		return field + " " + rapid.SampledFrom([]string{order, equal, order}).Draw(t, "op") + " " +
			quoted(slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return audience.VersionKey(v) == "" }))
	case "platform":
		return `platform ` + equal + ` "` + rapid.SampledFrom([]string{"ios", "android"}).Draw(t, "value") + `"`
	}
	switch rapid.IntRange(0, 3).Draw(t, "question") {
	case 0:
		return field + " " + equal + " " + quoted(words)
	case 1:
		return field + " in (" + quoted(words) + ", " + quoted(words) + ")"
	case 2:
		return field + " starts with " + quoted(words)
	default:
		return field + rapid.SampledFrom([]string{" is set", " is not set"}).Draw(t, "set")
	}
}

// What the database finds is what the expression means, device by device.
func TestFilterMeansTheSameInBothDatabases(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		rapid.Check(t, func(rt *rapid.T) {
			devices := make([]*push.Device, 12)
			for i := range devices {
				devices[i] = drawDevice(rt, i)
			}
			if _, err := s.PutDevices(t.Context(), "demo", devices); err != nil {
				rt.Fatal(err)
			}
			for range 3 {
				to := push.Audience{Filter: drawFilter(rt, 3)}
				switch rapid.IntRange(0, 2).Draw(rt, "beside") {
				case 0:
					to.Tag = rapid.SampledFrom(tags).Draw(rt, "tag")
				case 1:
					to.All = true
				}
				f, err := audience.Parse(to.Filter)
				if err != nil {
					rt.Fatalf("%s: %v", to.Filter, err)
				}
				var want []string
				for _, d := range devices {
					if f.Match(d, time.Now()) && (to.Tag == "" || slices.Contains(d.Tags, to.Tag)) {
						want = append(want, d.ID)
					}
				}
				if got := walk(t, s, to, rapid.IntRange(5, 13).Draw(rt, "page")); !slices.Equal(got, want) {
					rt.Fatalf("%+v means %v, and the database finds %v", to, want, got)
				}
				if n, err := s.Count(t.Context(), "demo", to); n != len(want) || err != nil {
					rt.Fatalf("Count(%+v) = %d, %v; want %d", to, n, err, len(want))
				}
			}
		})
	})
}

func TestFilterSeesWhatADeviceBecomes(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		d := device("phone")
		d.AppVersion = "2.9"
		put(t, s, d)
		newer := push.Audience{Filter: `app_version >= 2.10`}
		if got := walk(t, s, newer, 10); len(got) != 0 {
			t.Errorf("2.9 is found as %s: %v", newer.Filter, got)
		}
		d.AppVersion = "2.11"
		put(t, s, d)
		if got := walk(t, s, newer, 10); len(got) != 1 {
			t.Errorf("2.11 is not found as %s", newer.Filter)
		}
		if _, err := s.Page(t.Context(), "demo", push.Audience{Filter: "nonsense"}, "", 10); err == nil {
			t.Error("an expression that cannot be read gives no error")
		}
	})
}

func BenchmarkFilterPage(b *testing.B) {
	s := filled(b, 100_000)
	for name, filter := range map[string]string{
		"half":  `country = "CN" and app_version >= 4.1 and (tags has "group-1" or seen < 30d)`,
		"rare":  `tags has "group-7" and not maker = "apple"`,
		"exact": `id = "device-00050000"`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n, after := 0, ""
				for {
					ids, err := s.Page(b.Context(), "demo", push.Audience{Filter: filter}, after, 2048)
					if err != nil {
						b.Fatal(err)
					}
					if n += len(ids); len(ids) < 2048 {
						break
					}
					after = ids[len(ids)-1]
				}
				b.ReportMetric(float64(n), "devices")
			}
		})
	}
}
