package scheduler

import "github.com/herald-push/herald/push"

// form is how a notification differs for some of its devices. Deliveries of one
// form share one notification, so that a chunk has a handful of them.
type form struct {
	of     *push.Notification
	due    int64 // by the device's own clock, unix ms
	silent bool
	locale string
}

// speak gives each delivery the content in its device's language.
func (r *round) speak(ds []*delivery) {
	for _, d := range ds {
		if len(d.Localized) == 0 {
			continue
		}
		key := push.PickLocale(d.Localized, d.device.Locale, d.parcel.app.Policy.Locale)
		r.wear(d, form{locale: key}, func(n *push.Notification) {
			if c, ok := n.Localized[key]; ok { // else the template's own default
				n.Title, n.Body, n.Data, n.Overrides = c.Title, c.Body, c.Data, c.Overrides
			}
			n.Localized = nil
		})
	}
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
