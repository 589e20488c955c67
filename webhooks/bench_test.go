package webhooks

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// BenchmarkDeliver carries events from Emit to an endpoint that answers at once.
func BenchmarkDeliver(b *testing.B) {
	for _, batch := range []int{1, 50} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			house := sqlite(b)
			hooks := house.open()
			app := startApp(b, nil)
			w, _ := house.create(hooks, app.URL, func(w *push.Webhook) { w.Batch = batch })
			rs := make([]push.Receipt, 100)
			began := time.Now()
			for i := range b.N {
				rs[i%100] = receipt(fmt.Sprintf("n1.0.%d", i), push.Delivered, push.DeviceAck)
				if i%100 == 99 || i == b.N-1 {
					if err := hooks.Record(b.Context(), rs[:i%100+1]...); err != nil {
						b.Fatal(err)
					}
				}
			}
			emitted := time.Since(began)
			house.run(hooks)
			for {
				var n int
				if err := hooks.db.Read().QueryRow(b.Context(), `SELECT count(*) FROM webhook_messages WHERE webhook = $1 AND state = 1`, w.ID).Scan(&n); err != nil {
					b.Fatal(err)
				}
				if n >= b.N {
					break
				}
				time.Sleep(5 * time.Millisecond) // between two looks
			}
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "events/s")
			b.ReportMetric(float64(emitted.Microseconds())/float64(b.N), "emit-µs/event")
		})
	}
}
