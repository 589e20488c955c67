package scheduler

import (
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// exhausted is the end of the last road. What some provider took stays as it
// is, unless all that took it have said since that it does not arrive; what lies
// in an inbox may still be fetched; the rest has failed.
func (r *round) exhausted(res *result) {
	d := res.delivery
	d.cell.Hold = redisstore.Hold{}
	switch {
	case d.cell.Stage != "" && (!d.cell.Void() || d.mayHaveLeft()):
	case d.mayHaveLeft():
		res.receipts = append(res.receipts, d.verdict(push.Unknown, whyUnknown))
	case d.boxed:
		d.cell.Hold.Kind = redisstore.Waiting
	default:
		res.receipts = append(res.receipts, d.fail(d.whyNone()))
	}
}

// end closes a delivery whose notification is over.
func (r *round) end(res *result) {
	d := res.delivery
	d.cell.Hold = redisstore.Hold{}
	switch {
	case d.cell.Stage != "" && (!d.cell.Void() || d.mayHaveLeft()):
	case d.mayHaveLeft():
		res.receipts = append(res.receipts, d.verdict(push.Unknown, whyUnknown))
	case d.cell.Void():
		res.receipts = append(res.receipts, d.fail("every provider that took it has said that it does not arrive"))
	default:
		detail := "its time passed before a provider took it"
		if d.parcel.ending == push.Cancelled {
			detail = "taken back before a provider took it"
		}
		res.receipts = append(res.receipts, d.verdict(d.parcel.ending, detail))
	}
}

// whyUnknown is the detail of a delivery that [delivery.mayHaveLeft].
const whyUnknown = "its worker died in the middle of an attempt: it may have been sent"

// mayHaveLeft tells whether a worker that had the delivery in hand never said
// what came of its attempt.
func (d *delivery) mayHaveLeft() bool {
	return d.seen.Hold.Kind == redisstore.Claimed && d.seen.Hold.Provider != ""
}

// raise notes a stage unless a higher one is known.
func (d *delivery) raise(s push.Stage) {
	if s.Rank() > d.cell.Stage.Rank() {
		d.cell.Stage = s
	}
}

// verdict ends the delivery by our own decision and says so in a receipt.
func (d *delivery) verdict(s push.Stage, detail string) push.Receipt {
	d.raise(s)
	rec := d.receipt(s, push.Herald, time.Now())
	rec.ID, rec.Detail = receiptID(d.ID, 0, s), detail
	return rec
}

// fail ends a delivery that nobody has, or has any more.
func (d *delivery) fail(detail string) push.Receipt {
	d.cell.Stage = ""
	return d.verdict(push.Failed, detail)
}

// whyNone tells of each road why it was no use.
func (d *delivery) whyNone() string {
	if d.device == nil {
		return "the device is unknown"
	}
	var words []string
	for _, r := range d.roads {
		if r.Skipped != "" {
			words = append(words, r.Provider+": "+r.Skipped)
		} else if at := slices.IndexFunc(d.avoided, func(a push.PlannedStep) bool { return a.Provider == r.Provider }); at >= 0 {
			words = append(words, r.Provider+": "+d.avoided[at].Skipped)
		} else if d.cell.Denied(r.Provider) {
			words = append(words, r.Provider+": tried, it does not arrive")
		} else {
			words = append(words, r.Provider+": tried")
		}
	}
	if len(words) == 0 {
		return "the device has no address"
	}
	return "no road is left; " + strings.Join(words, ", ")
}

// receipt begins a receipt of the delivery.
func (d *delivery) receipt(s push.Stage, source push.Source, at time.Time) push.Receipt {
	rec := push.Receipt{
		App: d.App, Notification: d.Notification.ID, Delivery: d.ID, Device: d.Device, Class: d.Class,
		Campaign: d.Campaign, Stage: s, Source: source, At: at.UTC(), ReceivedAt: at.UTC(),
		SinceAccepted: max(0, at.Sub(d.cell.Start(redisstore.Start(d.Notification)))),
		Trace:         d.Notification.Trace,
	}
	if d.device != nil {
		rec.Describe(d.device)
	}
	return rec
}
