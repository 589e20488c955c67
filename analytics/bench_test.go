package analytics

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// typical is a receipt as the scheduler makes them.
func typical(i int) push.Receipt {
	r := numbered(i)
	r.Notification = fmt.Sprintf("order-%d-shipped", i/100)
	r.Delivery = push.DeliveryID(r.Notification, 0, i%100)
	r.Platform, r.Maker, r.OS, r.AppVersion, r.Country, r.Carrier = "android", "xiaomi", "15", "4.2.1", "CN", "46000"
	r.Why = "fcm 94 % of 212 delivered for xiaomi in CN over 7 days"
	r.ProviderID = "0:1700000000000000%31bd1c9631bd1c96"
	r.SinceAccepted, r.Took = 120*time.Millisecond, 50*time.Millisecond
	return r
}

func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("receipts=%d", size), func(b *testing.B) {
			config := DefaultSpoolConfig(b.TempDir())
			config.MaxBytes = 1 << 40
			s, err := OpenSpool(config, quiet())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			rs := make([]push.Receipt, size)
			for i := range rs {
				rs[i] = typical(i)
			}
			var n atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Record(context.Background(), rs...); err != nil {
						b.Error(err)
						return
					}
					if n.Add(1)%1000 == 0 {
						for seg, _ := s.oldest(time.Hour); seg != nil; seg, _ = s.oldest(time.Hour) {
							_ = s.forget(seg)
						}
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/receipt")
		})
	}
}
