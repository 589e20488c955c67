package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/herald-push/herald/client"
)

// matter is something that a business sends.
type matter struct {
	class       client.Class
	title, body string
	ttl         time.Duration
	weight      int
}

func matters() []matter {
	return []matter{
		{client.Transactional, "Your parcel is on its way", "Arrives tomorrow between 9 and 12.", 12 * time.Hour, 8},
		{client.Transactional, "Payment received", "Thank you. Your receipt is in the app.", 12 * time.Hour, 6},
		{client.Transactional, "Table confirmed", "Today at 19:30, two people.", 3 * time.Hour, 4},
		{client.Chat, "Mia", "Are you there already?", time.Hour, 8},
		{client.Chat, "Team", "The new version is out.", time.Hour, 6},
		{client.OTP, "Your code", "It is valid for five minutes.", 5 * time.Minute, 4},
		{client.Call, "Incoming call", "Jonas is calling.", 30 * time.Second, 2},
	}
}

// traffic sends a few notifications a second to one or two devices each, and
// now and then an offer to many.
func (f *Fleet) traffic(ctx context.Context) {
	const every, offerEvery, offerTo = 350 * time.Millisecond, 20 * time.Second, 100
	var deck []matter
	for _, m := range matters() {
		for range m.weight {
			deck = append(deck, m)
		}
	}
	lastOffer := time.Now().Add(-offerEvery / 2)
	for pause(ctx, between(every/3, 3*every)) {
		if time.Since(lastOffer) > offerEvery {
			lastOffer = time.Now()
			f.send(ctx, client.Notification{
				To: client.Audience{Devices: f.some(offerTo)}, Class: client.Marketing,
				Title: "Weekend offer", Body: "20 % off everything until Sunday.", TTLSeconds: 7200, CollapseKey: "offer",
			})
			continue
		}
		m := deck[rand.IntN(len(deck))]
		n := client.Notification{
			To: client.Audience{Device: f.some(1)[0]}, Class: m.class, Title: m.title, Body: m.body,
			TTLSeconds: int(m.ttl / time.Second),
		}
		switch rand.IntN(8) {
		case 0: // all devices of a person
			n.To = client.Audience{User: fmt.Sprintf("person-%03d", rand.IntN(fleetSize/2)+1)}
		case 1:
			n.To = client.Audience{Devices: f.some(5)}
		}
		if m.class == client.OTP {
			n.Body = fmt.Sprintf("%06d. %s", rand.IntN(1_000_000), m.body)
		}
		f.send(ctx, n)
	}
}

func (f *Fleet) send(ctx context.Context, n client.Notification) {
	if _, err := f.cfg.Client.Send(ctx, n); err != nil && ctx.Err() == nil {
		f.log.InfoContext(ctx, "demo: not sent", "class", n.Class, "err", err)
	}
}

// some picks n different devices of the fleet.
func (f *Fleet) some(n int) []string {
	ids := make([]string, n)
	for i, at := range rand.Perm(len(f.devices))[:n] {
		ids[i] = f.devices[at].ID
	}
	return ids
}
