package scheduler

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/push"
)

// What a lane costs a delivery: a place and back, alone and with a rate and a
// quota of the app, whose blocks come from a real Redis.
func BenchmarkLane(b *testing.B) {
	for name, limits := range map[string]push.Limits{
		"plain":          {},
		"rate":           {PerSecond: 1e9},
		"rate and quota": {PerSecond: 1e9, Quotas: []push.Quota{{Name: "public", Limit: 1e12}}},
	} {
		b.Run(name, func(b *testing.B) {
			rdb := benchRedis(b)
			w := &Worker{lanes: &lanes{cfg: DefaultConfig().Lane, limits: func(context.Context, string, string) push.Limits { return limits }}}
			w.watch = newWatch(Parts{Redis: rdb}, w.lanes, nil)
			at := redisstore.LaneName{App: "demo", Provider: "p"}
			ctx := b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l := w.lanes.of(ctx, at.App, at.Provider)
					if err := w.spend(ctx, at, l, push.Marketing, 1); err != nil {
						b.Fatal(err)
					}
					p, err := l.enter(ctx, push.Marketing, 1)
					if err != nil {
						b.Fatal(err)
					}
					l.leave(p, nil)
				}
			})
		})
	}
}

// What a quota that each device has costs: one round trip for a chunk.
func BenchmarkDeviceQuota(b *testing.B) {
	q := redisstore.NewQuotas(benchRedis(b))
	uses := make([]redisstore.DeviceUse, 256)
	for i := range uses {
		uses[i] = redisstore.DeviceUse{
			App: "demo", Provider: "huawei", Quota: "ads", Day: "20260301", Device: push.DeliveryID("d", i, i),
			Ends: time.Now().Add(time.Hour), Limit: 1 << 40,
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Use(b.Context(), uses); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(uses)), "ns/delivery")
}

func benchRedis(b *testing.B) redis.UniversalClient {
	rdb, err := redisstore.Connect(redistest.Start(b).URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { rdb.Close() })
	return rdb
}
