package sandbox_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// Of 256 devices three are gone: one request goes out, three deliveries fail and
// the other devices show the message.
func TestManyDevicesAreOneRequest(t *testing.T) {
	s := start(t, sandbox.Config{})
	for vendor, requests := range map[string]int64{"huawei": 1, "honor": 1, "xiaomi": 1, "oppo": 1, "vivo": 2, "meizu": 1} {
		t.Run(vendor, func(t *testing.T) {
			p, ok := open(t, s, vendor, "").(providers.Batcher)
			if !ok {
				t.Fatalf("%T takes one device at a time", p)
			}
			n := delivery(vendor, "n1.7.0").Notification
			if most := p.Batch(n); most < 256 {
				t.Fatalf("Batch() = %d", most)
			}
			ds := make([]*push.Delivery, 256)
			for i := range ds {
				token := fmt.Sprintf("device-of-%-10s%03d", vendor, i)
				token = fmt.Sprintf("%023x", token)[:20] + fmt.Sprintf("%03d", i)
				ds[i] = &push.Delivery{
					Notification: n, ID: push.DeliveryID("n1", 7, i), Device: fmt.Sprint("phone-", i),
					Address: push.Address{Provider: vendor, Token: token},
				}
			}
			gone := map[int]bool{3: true, 100: true, 255: true}
			for i := range gone {
				s.Kill(vendor, ds[i].Address.Token, time.Now())
			}
			before := s.Counts(vendor).Requests
			for i, reply := range p.SendBatch(t.Context(), ds) {
				switch {
				case gone[i] && !errors.Is(reply.Err, push.ErrUnregistered):
					t.Errorf("device %d is gone, and the reply is %+v", i, reply)
				case !gone[i] && (reply.Err != nil || reply.Answer.Stage != push.Accepted):
					t.Errorf("device %d: %+v", i, reply)
				case !gone[i]:
					shows := s.Shows(vendor, ds[i].Address.Token)
					id := shows[0].Data["herald_id"]
					if len(shows) != 1 || shows[0].Title != "Shipped" || id != "n1.7" && id != ds[i].ID {
						t.Errorf("device %d shows %+v", i, shows)
					}
				}
			}
			if got := s.Counts(vendor).Requests - before; got != requests {
				t.Errorf("%d requests, want %d", got, requests)
			}
		})
	}
}
