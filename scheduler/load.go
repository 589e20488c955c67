package scheduler

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// load is the deliveries that go out in one request: several of one chunk where
// their provider takes many at once, and else one by itself.
type load struct {
	provider string
	results  []*result
}

// travel brings deliveries as far as they come in this round. Each of them is
// told on told once; under counts what is under way.
func (r *round) travel(ctx context.Context, results []*result, under *sync.WaitGroup, told chan<- *result) {
	alone := make([]*result, 0, len(results))
	for _, res := range results {
		if roads := res.abreast(); len(roads) > 0 {
			r.together(ctx, res, roads, under, told)
		} else {
			alone = append(alone, res)
		}
	}
	for _, l := range r.loads(ctx, alone, told) {
		r.attempt(ctx, l, under, told, func(further []*result) { r.travel(ctx, further, under, told) })
	}
}

// loads sets deliveries on their next road and tells those that have none.
func (r *round) loads(ctx context.Context, results []*result, told chan<- *result) []load {
	type share struct {
		parcel   *parcel
		form     *push.Notification // all say the same
		provider string
	}
	var loads []load
	shared := make(map[share][]*result)
	now := time.Now()
	for len(results) > 0 {
		var set, going []*result
		for _, res := range results {
			var ok bool
			if res.parcel.ending != "" {
				r.end(res)
			} else if res.road, ok = res.next(now); !ok {
				r.exhausted(res)
			} else {
				set = append(set, res)
				continue
			}
			told <- res
		}
		going, results = r.ration(ctx, set, told)
		for _, res := range going {
			s := share{res.parcel, res.Notification, res.road.Provider}
			shared[s] = append(shared[s], res)
		}
	}
	for s, all := range shared {
		most := 1
		if len(all) > 1 {
			most = max(1, r.w.parts.Sender.Batch(ctx, s.form, s.provider))
		}
		for part := range slices.Chunk(all, most) {
			loads = append(loads, load{s.provider, part})
		}
	}
	return loads
}

// replies makes the attempt of a load.
func (r *round) replies(ctx context.Context, l load) []push.Reply {
	ctx, cancel := context.WithTimeout(ctx, r.w.cfg.Attempt)
	defer cancel()
	app := l.results[0].App
	if len(l.results) == 1 {
		answer, err := r.w.parts.Sender.Send(ctx, app, l.provider, &l.results[0].Delivery)
		return []push.Reply{{Answer: answer, Err: err}}
	}
	ds := make([]*push.Delivery, len(l.results))
	for i, res := range l.results {
		ds[i] = &res.Delivery
	}
	return r.w.parts.Sender.SendBatch(ctx, app, l.provider, ds)
}

// verdictOn is what the lane learns from a request: that it was answered well if
// some delivery was taken, unless a reply is about the provider and not about
// one of the devices.
func verdictOn(replies []push.Reply) error {
	taken := false
	for _, reply := range replies {
		switch push.KindName(reply.Err) {
		case "":
			taken = true
		case "credentials", "throttled", "quota":
			if push.ScopeOf(reply.Err) == push.ScopeProvider {
				return reply.Err
			}
		}
	}
	if taken {
		return nil
	}
	return replies[0].Err
}
