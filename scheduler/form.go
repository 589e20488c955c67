package scheduler

import "github.com/herald-push/herald/push"

// form is how a notification differs for some of its devices. Deliveries of one
// form share one notification, so that a chunk has a handful of them.
type form struct {
	of     *push.Notification
	due    int64 // by the device's own clock, unix ms
	silent bool
}

// wear gives the delivery the form f of its notification, which change makes
// where nobody has it yet.
func (r *round) wear(d *delivery, f form, change func(*push.Notification)) {
	f.of = d.Notification
	n := r.forms[f]
	if n == nil {
		n = new(push.Notification)
		*n = *d.Notification
		change(n)
		if r.forms == nil {
			r.forms = make(map[form]*push.Notification)
		}
		r.forms[f] = n
	}
	d.Notification = n
}
