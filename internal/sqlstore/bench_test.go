package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// fleet makes n devices such as the demo has, from number first.
func fleet(first, n int) []*push.Device {
	devices := make([]*push.Device, n)
	for i := range devices {
		id := fmt.Sprintf("device-%08d", first+i)
		devices[i] = &push.Device{
			App: "demo", ID: id, User: fmt.Sprintf("user-%07d", (first+i)/2), Platform: "android", Maker: "xiaomi", Model: "23127PN0CC",
			OS: "16", AppVersion: "4.2.0", Country: "CN", Carrier: "China Mobile", Locale: "zh-CN", Timezone: "Asia/Shanghai",
			Tags: []string{fmt.Sprintf("group-%d", i%100)},
			Addresses: []push.Address{
				{Provider: "fcm", Token: "fcm-registration-token-which-is-rather-long-" + id},
				{Provider: "live", Token: id},
			},
		}
	}
	return devices
}

func filled(b *testing.B, n int) *sqlstore.Store {
	b.Helper()
	s := open(b, "sqlite:"+filepath.Join(b.TempDir(), "h.db"), oldKey)
	if err := s.CreateApp(b.Context(), push.App{ID: "demo"}); err != nil {
		b.Fatal(err)
	}
	for first := 0; first < n; first += 5000 {
		if _, err := s.PutDevices(b.Context(), "demo", fleet(first, min(5000, n-first))); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkDevices loads one chunk of a notification.
func BenchmarkDevices(b *testing.B) {
	s := filled(b, 20_000)
	ids := make([]string, 256)
	for i := range ids {
		ids[i] = fmt.Sprintf("device-%08d", i*71)
	}
	for b.Loop() {
		if _, err := s.Devices(b.Context(), "demo", ids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutDevices(b *testing.B) {
	s := filled(b, 0)
	first := 0
	for b.Loop() {
		if _, err := s.PutDevices(b.Context(), "demo", fleet(first, 1000)); err != nil {
			b.Fatal(err)
		}
		first += 1000
	}
	b.ReportMetric(float64(first)/b.Elapsed().Seconds(), "devices/s")
}

func BenchmarkPutDevice(b *testing.B) {
	s := filled(b, 1000)
	d := fleet(10, 1)[0]
	for b.Loop() {
		if _, err := s.PutDevice(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDevice(b *testing.B) {
	s := filled(b, 1000)
	for b.Loop() {
		if _, err := s.Device(b.Context(), "demo", "device-00000010"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	s := filled(b, 20_000)
	for b.Loop() {
		if _, err := s.Page(b.Context(), "demo", push.Audience{All: true}, "device-00010000", 1024); err != nil {
			b.Fatal(err)
		}
	}
}
