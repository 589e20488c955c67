package providers

import (
	"errors"
	"hash/maphash"
	"sort"
	"sync/atomic"

	"github.com/rivo/uniseg"

	"github.com/herald-push/herald/push"
)

// ellipsis stands where a text was cut.
const ellipsis = "…"

// fits keeps what notifications were shortened to, for those that are being
// sent just now: all devices of one share it.
type fits [32]atomic.Pointer[fitted]

// seed is that of the places. It is never changed.
var seed = maphash.MakeSeed()

type fitted struct {
	of       *push.Notification
	provider Provider
	n        *push.Notification // nil if it cannot be made to fit
	cut      []string           // the fields that were shortened
}

func (f *fits) slot(n *push.Notification) *atomic.Pointer[fitted] {
	return &f[maphash.Comparable(seed, n)%uint64(len(f))]
}

// known is what a notification was shortened to for a provider; nil if it was
// never too long.
func (f *fits) known(p Provider, n *push.Notification) *fitted {
	if k := f.slot(n).Load(); k != nil && k.of == n && k.provider == p {
		return k
	}
	return nil
}

// fit shortens a delivery's notification until the provider takes it: first the
// body, then the title, each at the border of what people see as a character,
// with an ellipsis. Data are never cut: a message that is too large all the same
// is refused as it was. nil is one that the provider refuses for another reason
// than its length, or that cannot be made to fit.
func (f *fits) fit(p Provider, d *push.Delivery, refusal error) *fitted {
	if !errors.Is(refusal, push.ErrRejected) || d.Notification == nil {
		return nil
	}
	if k := f.known(p, d.Notification); k != nil {
		return k
	}
	k := &fitted{of: d.Notification, provider: p}
	k.n, k.cut = shortened(d.Notification, func(n *push.Notification) bool {
		// The longest id that a delivery of the chunk may have, so that what fits
		// for one fits for all.
		probe := push.Delivery{Notification: n, ID: push.DeliveryID(n.ID, 999_999, 255), Device: d.Device, Address: d.Address}
		_, err := p.Weigh(&probe)
		return err == nil
	})
	f.slot(d.Notification).Store(k)
	return k
}

// shortened is n with as much of body and title as is taken.
func shortened(n *push.Notification, taken func(*push.Notification) bool) (*push.Notification, []string) {
	body, title := borders(n.Body), borders(n.Title)
	with := func(titleTo, bodyTo int) *push.Notification {
		c := *n
		c.Title, c.Body = upTo(n.Title, title, titleTo), upTo(n.Body, body, bodyTo)
		return &c
	}
	// most is the largest count below all that is taken; 0 if none is.
	most := func(all int, is func(int) bool) int {
		return sort.Search(all-1, func(i int) bool { return !is(i + 1) })
	}
	if len(body) > 1 {
		if k := most(len(body), func(i int) bool { return taken(with(len(title), i)) }); k > 0 {
			return with(len(title), k), []string{"body"}
		}
	}
	least := min(1, len(body))
	t := most(len(title), func(i int) bool { return taken(with(i, least)) })
	if t == 0 {
		return nil, nil
	}
	if taken(with(t, len(body))) { // the title alone was too long
		return with(t, len(body)), []string{"title"}
	}
	return with(t, max(least, most(len(body), func(i int) bool { return taken(with(t, i)) }))), []string{"body", "title"}
}

// borders are the ends of a text's characters, as people see them.
func borders(s string) []int {
	var ends []int
	for g := uniseg.NewGraphemes(s); g.Next(); {
		_, to := g.Positions()
		ends = append(ends, to)
	}
	return ends
}

// upTo is the first n characters of a text, with an ellipsis if there are more.
func upTo(s string, ends []int, n int) string {
	if n >= len(ends) {
		return s
	}
	return s[:ends[n-1]] + ellipsis
}

// wear is a delivery with the shortened notification.
func (k *fitted) wear(d *push.Delivery) *push.Delivery {
	c := *d
	c.Notification = k.n
	return &c
}

func (k *fitted) wearAll(ds []*push.Delivery) []*push.Delivery {
	all := make([]*push.Delivery, len(ds))
	for i, d := range ds {
		all[i] = k.wear(d)
	}
	return all
}
