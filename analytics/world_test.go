package analytics

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

var (
	dawn      = time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	providers = []string{"apns", "fcm", "sms"}
	ladder    = []push.Stage{push.Accepted, push.HandedOver, push.Delivered, push.Displayed, push.Clicked}
)

// world invents what happened to n deliveries from a seed: up to two attempts,
// some rungs skipped, some evidence twice.
func world(seed uint64, n int) []push.Receipt {
	rng := rand.New(rand.NewPCG(seed, 1))
	var rs []push.Receipt
	for i := range n {
		base := push.Receipt{
			App: "demo", Notification: fmt.Sprintf("n%d", i/100), Delivery: push.DeliveryID(fmt.Sprintf("n%d", i/100), 0, i%100),
			Device: fmt.Sprintf("device-%d", i%100), Class: push.Chat, Platform: "android",
			Maker: []string{"xiaomi", "oppo"}[i%2], Country: []string{"CN", "DE", "BR"}[i%3],
		}
		accepted := dawn.Add(time.Duration(rng.IntN(3*3600_000)) * time.Millisecond)
		see := func(after time.Duration, attempt int, provider string, stage push.Stage, source push.Source) {
			r := base
			r.Attempt, r.Provider, r.Stage, r.Source = attempt, provider, stage, source
			r.SinceAccepted = after
			r.ReceivedAt = accepted.Add(after)
			r.At = r.ReceivedAt
			if source == push.VendorReply {
				r.Took, r.CostMicros, r.Why = 7*time.Millisecond, 100, "because"
			}
			if stage == push.Failed {
				r.Kind, r.Code, r.Detail = "rejected", "400", "BadTopic"
			}
			rs = append(rs, r)
			if rng.IntN(10) == 0 {
				rs = append(rs, r) // the same evidence again
			}
		}
		after := time.Duration(rng.IntN(1000)) * time.Millisecond
		for attempt := 1; ; attempt++ {
			provider := providers[rng.IntN(len(providers))]
			after += 50 * time.Millisecond
			switch rng.IntN(10) {
			case 0:
				see(after, attempt, provider, push.Failed, push.VendorReply)
			case 1:
				see(after, attempt, provider, push.Unknown, push.VendorReply)
			default:
				see(after, attempt, provider, push.Accepted, push.VendorReply)
				for _, stage := range ladder[1:] {
					after += time.Duration(rng.IntN(3000)) * time.Millisecond
					if rng.IntN(2) == 0 { // a missing rung says nothing about the next
						see(after, attempt, provider, stage, push.DeviceAck)
					}
				}
			}
			if attempt == 2 || rng.IntN(3) > 0 {
				break
			}
		}
		if rng.IntN(50) == 0 {
			see(after+time.Millisecond, 0, "", push.Expired, push.Herald)
		}
	}
	rng.Shuffle(len(rs), func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
	return rs
}

// expectedFunnel counts as [FunnelRow] says, in Go.
func expectedFunnel(rs []push.Receipt, provider string, from, to time.Time) FunnelRow {
	type fate struct {
		reached map[push.Stage]bool
		last    push.Receipt
	}
	fates := map[string]*fate{}
	for _, r := range rs {
		accepted := r.ReceivedAt.Add(-r.SinceAccepted)
		if r.App != "demo" || accepted.Before(from) || !accepted.Before(to) || (provider != "" && r.Provider != provider) {
			continue
		}
		f := fates[r.Delivery]
		if f == nil {
			f = &fate{reached: map[push.Stage]bool{}}
			fates[r.Delivery] = f
		}
		f.reached[r.Stage] = true
		if !r.ReceivedAt.Before(f.last.ReceivedAt) {
			f.last = r
		}
	}
	row := FunnelRow{Provider: provider, Deliveries: uint64(len(fates))}
	for _, f := range fates {
		clicked := f.reached[push.Clicked]
		displayed := clicked || f.reached[push.Displayed]
		delivered := displayed || f.reached[push.Delivered]
		handedOver := delivered || f.reached[push.HandedOver]
		accepted := handedOver || f.reached[push.Accepted]
		count := func(n *uint64, yes bool) {
			if yes {
				*n++
			}
		}
		count(&row.Clicked, clicked)
		count(&row.Displayed, displayed)
		count(&row.Delivered, delivered)
		count(&row.HandedOver, handedOver)
		count(&row.Accepted, accepted)
		count(&row.Unknown, !accepted && f.reached[push.Unknown])
		below := !accepted && !f.reached[push.Unknown]
		count(&row.Failed, below && f.last.Stage == push.Failed)
		count(&row.Expired, below && f.last.Stage == push.Expired)
	}
	return row
}

// expectedTallies counts as push.Tally says, in Go, without the mean.
func expectedTallies(rs []push.Receipt) []push.Tally {
	type key struct {
		push.Group
		hour time.Time
	}
	tallies := map[key]*push.Tally{}
	seen := map[string]bool{}
	for _, r := range rs {
		if r.Provider == "" {
			continue
		}
		k := key{push.Group{Provider: r.Provider, Platform: r.Platform, Maker: r.Maker, Country: r.Country}, r.ReceivedAt.Add(-r.SinceAccepted).Truncate(time.Hour)}
		if tallies[k] == nil {
			tallies[k] = &push.Tally{Group: k.Group, Hour: k.hour}
		}
		first := func(what string, attempt int) uint64 {
			id := fmt.Sprint(what, r.Delivery, attempt, k)
			if seen[id] {
				return 0
			}
			seen[id] = true
			return 1
		}
		row := tallies[k]
		switch r.Stage {
		case push.Accepted:
			row.Attempts += first("attempt", r.Attempt)
			row.Accepted += first("accepted", r.Attempt)
		case push.Failed:
			row.Attempts += first("attempt", r.Attempt)
			row.Failed += first("failed", r.Attempt)
		case push.Unknown:
			row.Attempts += first("attempt", r.Attempt)
			row.Unknown += first("unknown", r.Attempt)
		case push.Delivered, push.Displayed, push.Clicked:
			row.Delivered += first("delivered", 0)
		default: // a device's handed_over, as in this world, is no answer
		}
	}
	var out []push.Tally
	for _, row := range tallies {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b push.Tally) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Maker, b.Maker), cmp.Compare(a.Country, b.Country))
	})
	return out
}
