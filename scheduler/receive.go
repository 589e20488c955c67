package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// Receive takes evidence from devices, apps and vendors: one error for each
// receipt, nil where it counted. [push.ErrNotFound] is a delivery that is not
// there or not this device's, a *[push.Invalid] a receipt that makes no sense,
// and [push.ErrAway] one that must be brought again.
//
// Reporters fill in App, Device, Delivery, Stage, Source and At, and vendors
// what else they know; the rest comes from the journal. Delivery may be the id
// that a chunk shares. A vendor may leave Device empty if it names the delivery,
// or an address by Token. Evidence that comes twice is recorded under the same ID.
func (d *Door) Receive(ctx context.Context, rs []push.Receipt) []error {
	errs := make([]error, len(rs))
	d.findOwners(ctx, rs, errs)
	proofs := make([]redisstore.Proof, 0, len(rs))
	places := make([]int, 0, len(rs)) // of each proof in rs
	for i := range rs {
		if errs[i] != nil {
			continue
		}
		p, err := proof(&rs[i])
		if err != nil {
			errs[i] = err
			continue
		}
		proofs, places = append(proofs, p), append(places, i)
	}
	if len(proofs) == 0 {
		return errs
	}
	good, err := d.take(ctx, rs, proofs, places, errs)
	if err == nil && len(good) > 0 {
		err = d.parts.Recorder.Record(ctx, good...)
	}
	if err != nil {
		for _, i := range places {
			if errs[i] == nil {
				errs[i] = fmt.Errorf("scheduler: receive: %w: %w", push.ErrAway, err)
			}
		}
	}
	return errs
}

// findOwners names the devices of receipts that say only an address of theirs.
// One whose address nobody has any more stays as it is.
func (d *Door) findOwners(ctx context.Context, rs []push.Receipt, errs []error) {
	type where struct{ app, provider string }
	wanted := make(map[where][]int)
	for i := range rs {
		r := &rs[i]
		if _, _, shared := push.ParseChunkID(r.Delivery); shared && r.Device == "" && r.Token != "" && r.Source == push.VendorCallback {
			w := where{r.App, r.Provider}
			wanted[w] = append(wanted[w], i)
		}
	}
	for w, at := range wanted {
		tokens := make([]string, len(at))
		for k, i := range at {
			tokens[k] = rs[i].Token
		}
		owners, err := d.parts.Devices.Owners(ctx, w.app, w.provider, tokens)
		for k, i := range at {
			if err != nil {
				errs[i] = fmt.Errorf("scheduler: receive: %w: %w", push.ErrAway, err)
			} else {
				rs[i].Device = owners[k]
			}
		}
	}
}

// proof reads what a receipt claims.
func proof(r *push.Receipt) (redisstore.Proof, error) {
	switch r.Stage {
	case push.Accepted, push.HandedOver, push.Delivered, push.Displayed, push.Clicked, push.Failed, push.Unknown:
	default:
		return redisstore.Proof{}, &push.Invalid{Faults: []push.Fault{{Field: "stage", Detail: "is not evidence that can be reported"}}}
	}
	notification, chunk, index, ok := push.ParseDeliveryID(r.Delivery)
	named := ok && r.Source == push.VendorCallback // then the device need not be known
	if !ok {
		index = -1
		notification, chunk, ok = push.ParseChunkID(r.Delivery)
	}
	if !ok || (r.Device == "" && !named) {
		return redisstore.Proof{}, fmt.Errorf("scheduler: delivery %q: %w", r.Delivery, push.ErrNotFound)
	}
	return redisstore.Proof{
		App: r.App, Notification: notification, Chunk: chunk, Index: index, Stage: r.Stage, Device: r.Device,
		Free: r.Stage.Reaches(push.Delivered) && !push.IsSMS(r.Provider), InVain: inVain(r),
	}, nil
}

// inVain is the provider that says itself that a message it took will not
// arrive, "" if the receipt says anything else.
func inVain(r *push.Receipt) string {
	if r.Stage != push.Failed || r.Source != push.VendorCallback {
		return ""
	}
	return r.Provider
}

// take raises the cells and returns the receipts that hold, filled in.
func (d *Door) take(ctx context.Context, rs []push.Receipt, proofs []redisstore.Proof, places []int, errs []error) ([]push.Receipt, error) {
	known, err := d.journal.Raise(ctx, proofs)
	if err != nil {
		return nil, fmt.Errorf("raise: %w", err)
	}
	now := time.Now().UTC()
	good := make([]push.Receipt, 0, len(proofs))
	var letters []redisstore.Letter
	for i, k := range known {
		r := &rs[places[i]]
		if k == nil {
			errs[places[i]] = fmt.Errorf("scheduler: delivery %q: %w", r.Delivery, push.ErrNotFound)
			continue
		}
		r.Delivery = push.DeliveryID(proofs[i].Notification, proofs[i].Chunk, k.Index)
		fill(r, proofs[i].Notification, k, now)
		if r.Stage.Reaches(push.Delivered) {
			letters = append(letters, redisstore.Letter{App: r.App, Device: r.Device, Delivery: r.Delivery})
		}
		good = append(good, *r)
	}
	d.describe(ctx, good)
	if err := d.hurry(ctx, proofs, known); err != nil {
		return nil, err
	}
	if len(letters) > 0 {
		if err := d.inbox.Drop(ctx, letters); err != nil {
			return nil, fmt.Errorf("empty inboxes: %w", err)
		}
	}
	return good, nil
}

// hurry has a look taken at once at deliveries whose road says that they do not
// arrive: the next one need not wait until this one's silence would be believed,
// and if none is left they have failed.
func (d *Door) hurry(ctx context.Context, proofs []redisstore.Proof, known []*redisstore.Known) error {
	now := time.Now()
	for i, k := range known {
		if k == nil || !endsWait(k.Cell, proofs[i].InVain) {
			continue
		}
		look := job{proofs[i].App, proofs[i].Notification, proofs[i].Chunk, []int{k.Index}}
		entry := redisstore.DueEntry{At: now, Text: dueText(taskCheck, 0, 0, look)}
		if err := d.due.Put(ctx, k.Class.Urgency(), entry); err != nil {
			return fmt.Errorf("hurry: %w", err)
		}
	}
	return nil
}

// endsWait tells whether a provider's no calls for a look at a delivery: it is on
// that road, or being sent along one, or nobody has it any more.
func endsWait(c redisstore.Cell, provider string) bool {
	if provider == "" || isFinal(c.Stage) || c.Stage.Reaches(push.Delivered) {
		return false
	}
	c.Deny(provider)
	return c.Hold.Kind == redisstore.Claimed || c.LastTried() == provider || c.Void()
}

// fill completes a receipt with what the journal knows.
func fill(r *push.Receipt, notification string, k *redisstore.Known, now time.Time) {
	r.Notification, r.Device, r.Class, r.Campaign = notification, k.Cell.Device, k.Class, k.Campaign
	r.ReceivedAt, r.Trace = now, k.Trace
	if r.At.IsZero() {
		r.At = now
	}
	r.SinceAccepted = max(0, now.Sub(k.Cell.Start(k.Start)))

	current, attempt := inUse(&k.Cell)
	switch {
	case r.Provider != "":
	case r.Source == push.AppReport && push.IsSMS(current):
		r.Provider = lastFree(&k.Cell) // no app ever saw an SMS
	case r.Source == push.DeviceAck, current == "":
		r.Provider = push.Live // an acknowledgement, or what lay in the inbox
	default:
		r.Provider = current
	}
	switch {
	case r.Attempt != 0:
	case r.Provider == current:
		r.Attempt = attempt
	default:
		r.Attempt = k.Cell.AttemptOf(r.Provider) // late proof of an earlier road, or of none: fetched from the inbox
	}
	r.Road = roadOf(&k.Cell, r.Provider)
	r.ID = receiptID(r.Delivery, r.Attempt, r.Stage)
	if paid := lastPaid(&k.Cell); paid != "" && r.Detail == "" && r.Stage.Reaches(push.Delivered) && !push.IsSMS(r.Provider) {
		r.Detail = "paid twice: " + paid + " had gone out before this proof came"
	}
}

// lastPaid is the last road tried that costs money, "" if none was.
func lastPaid(c *redisstore.Cell) string {
	return lastTried(c, push.IsSMS)
}

// lastFree is the last road tried that costs nothing; an inbox costs none.
func lastFree(c *redisstore.Cell) string {
	return cmp.Or(lastTried(c, func(p string) bool { return !push.IsSMS(p) }), push.Live)
}

func lastTried(c *redisstore.Cell, is func(provider string) bool) string {
	for _, p := range slices.Backward(strings.Split(c.Tried, "+")) {
		if p = strings.TrimSuffix(p, "-"); p != "" && is(p) {
			return p
		}
	}
	return ""
}

// inUse is the road that a delivery is on, with the number of its attempt.
func inUse(c *redisstore.Cell) (provider string, attempt int) {
	if c.Hold.Kind == redisstore.Claimed && c.Hold.Provider != "" {
		return c.Hold.Provider, c.Attempt + 1
	}
	return c.LastTried(), c.Attempt
}

// roadOf is a provider's place among the roads that a delivery has taken or is
// taking; 0 if it is none of them.
func roadOf(c *redisstore.Cell, provider string) int {
	if n := c.AttemptOf(provider); n > 0 || c.Hold.Kind != redisstore.Claimed || c.Hold.Provider != provider {
		return n
	}
	if c.Tried == "" {
		return 1
	}
	return strings.Count(c.Tried, "+") + 2
}

// describe adds the devices' dimensions. Without them a receipt still counts.
func (d *Door) describe(ctx context.Context, rs []push.Receipt) {
	places := make(map[string][]int)
	for i := range rs {
		places[rs[i].App] = append(places[rs[i].App], i)
	}
	for app, at := range places {
		ids := make([]string, len(at))
		for k, i := range at {
			ids[k] = rs[i].Device
		}
		devices, err := d.parts.Devices.Devices(ctx, app, ids)
		if err != nil {
			d.log.WarnContext(ctx, "receipts recorded without their devices", "app", app, "err", err)
			continue
		}
		for k, i := range at {
			if devices[k] == nil {
				continue
			}
			rs[i].Describe(devices[k])
			d.takeStock(ctx, &rs[i], devices[k])
		}
	}
}

// takeStock counts what a vendor's report says of an address, and sees to one
// that it says is dead. A device that has another address by now is well.
func (d *Door) takeStock(ctx context.Context, r *push.Receipt, device *push.Device) {
	if r.Source != push.VendorCallback {
		return
	}
	address, ok := device.Address(r.Provider)
	switch {
	case !ok || r.Token != "" && r.Token != address.Token:
	case r.Stage.Reaches(push.Delivered):
		d.deaths.count(ctx, r.App, r.Provider, 1, 0)
	case r.Kind == push.KindName(push.ErrUnregistered):
		if !device.UpdatedAt.After(r.At) {
			d.deaths.count(ctx, r.App, r.Provider, 0, 1)
		}
		d.deaths.bury(ctx, []push.Death{{
			App: r.App, Device: r.Device, Address: address, Source: r.Source, Code: r.Code, Since: r.At, Delivery: r.Delivery,
		}}, func(int) time.Time { return device.UpdatedAt })
	}
}

// receiptID is the same whenever the same evidence is written again.
func receiptID(delivery string, attempt int, stage push.Stage) string {
	return delivery + "/" + strconv.Itoa(attempt) + "/" + string(stage)
}
