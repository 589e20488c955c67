package sqlstore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// Two stores on one database are two processes, as far as the database knows.
func TestWritersWhoMeetLeaveEachAddressWithOneDevice(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, url string) {
		stores := []*sqlstore.Store{s, open(t, url, oldKey)}
		const writers, rounds = 6, 15
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for r := range rounds {
					// All want the same tokens, in turns under the same names.
					d := device(fmt.Sprintf("d%d", (w+r)%4), "fcm:contested", fmt.Sprintf("apns:t%d", r%2))
					d.Tags = []string{"a", fmt.Sprintf("r%d", r%3)}
					if _, err := stores[w%2].PutDevice(t.Context(), d); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Go(func() { // readers see whole devices only
			for range rounds {
				devices, err := s.Devices(t.Context(), "demo", []string{"d0", "d1", "d2", "d3"})
				if err != nil {
					t.Error(err)
					return
				}
				holders := 0
				for _, d := range devices {
					if d == nil {
						continue
					}
					if _, ok := d.Address("fcm"); ok {
						holders++
					}
				}
				if holders > 1 {
					t.Errorf("%d devices had the contested token at one moment", holders)
				}
			}
		})
		group.Wait()

		seen := map[push.Address]string{}
		devices, err := s.List(t.Context(), "demo", "d", "", 10)
		if err != nil || len(devices) != 4 {
			t.Fatalf("List() = %v, %v; want four devices", devices, err)
		}
		for _, d := range devices {
			for _, a := range d.Addresses {
				if other, taken := seen[a]; taken {
					t.Errorf("%s and %s both have %s", d.ID, other, a.Token)
				}
				seen[a] = d.ID
			}
		}
		if _, ok := seen[push.Address{Provider: "fcm", Token: "contested"}]; !ok {
			t.Error("the contested token was lost")
		}
	})
}

func TestCredentialsWrittenAtOnceAreCountedEach(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, url string) {
		stores := []*sqlstore.Store{s, open(t, url, oldKey)}
		var group sync.WaitGroup
		for w := range 8 {
			group.Go(func() {
				if _, err := stores[w%2].PutCredentials(t.Context(), "demo", "apns", []byte(`{}`)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if c, err := s.Credential(t.Context(), "demo", "apns"); c.Version != 8 || err != nil {
			t.Errorf("version = %d, %v; want 8", c.Version, err)
		}
	})
}
