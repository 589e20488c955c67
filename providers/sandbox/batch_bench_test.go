package sandbox_test

import (
	"fmt"
	"testing"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// BenchmarkManyDevices sends a notification to 256 devices, one by one and
// together. cpu-µs/device counts both ends: the provider's and its vendor's.
func BenchmarkManyDevices(b *testing.B) {
	s := start(b, sandbox.Config{})
	for _, vendor := range []string{"huawei", "honor", "xiaomi", "oppo"} {
		p := open(b, s, vendor, "").(providers.Batcher)
		n := delivery(vendor, "n1.0.0").Notification
		ds := make([]*push.Delivery, 256)
		for i := range ds {
			ds[i] = &push.Delivery{
				Notification: n, ID: push.DeliveryID("n1", 0, i), Device: fmt.Sprint("phone-", i),
				Address: push.Address{Provider: vendor, Token: fmt.Sprintf("%020d%03d", 7, i)},
			}
		}
		for how, send := range map[string]func(){
			"together": func() { p.SendBatch(b.Context(), ds) },
			"one by one": func() {
				for _, d := range ds {
					_, _ = p.Send(b.Context(), d)
				}
			},
		} {
			b.Run(vendor+" "+how, func(b *testing.B) {
				before := cpu()
				for b.Loop() {
					send()
				}
				b.ReportMetric(float64(cpu()-before)/float64(b.N*len(ds)), "cpu-µs/device")
			})
		}
	}
}
