package sandbox_test

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// BenchmarkSend measures providers against the sandbox in one process, 100
// devices a notification. cpu-µs/op is of both together.
func BenchmarkSend(b *testing.B) {
	for _, vendor := range []string{"apns", "fcm"} {
		b.Run(vendor, func(b *testing.B) {
			s := start(b, sandbox.Config{})
			p := open(b, s, vendor, "")
			first := delivery(vendor, "n1.0.0")
			if _, err := p.Send(b.Context(), first); err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			b.SetParallelism(max(256/runtime.GOMAXPROCS(0), 1))
			b.ReportAllocs()
			begin := cpu()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				d := *first
				for pb.Next() {
					i := int(n.Add(1))
					if i%100 == 0 {
						fresh := *d.Notification
						d.Notification = &fresh
					}
					d.ID = push.DeliveryID("n1", i/100, i%100)
					if _, err := p.Send(b.Context(), &d); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(cpu()-begin)/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is what the process has used, in microseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return (int64(u.Utime.Sec)+int64(u.Stime.Sec))*1e6 + int64(u.Utime.Usec) + int64(u.Stime.Usec)
}
