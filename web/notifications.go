package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

func notificationPath(app, id string) string {
	return "/notifications/" + url.PathEscape(id) + "?" + url.Values{"app": {app}}.Encode()
}

func deliveryPath(app, id, device string) string {
	return "/notifications/" + url.PathEscape(id) + "/deliveries/" + url.PathEscape(device) + "?" + url.Values{"app": {app}}.Encode()
}

// notificationView is what notification.html shows.
type notificationView struct {
	App string
	Notification
	List  []Delivery
	Next  string // link to the next page of the list; "" at the end
	Fault string
}

// Moves says that the page moves by itself.
func (notificationView) Moves() {}

// Moves says that the page moves by itself.
func (deliveryView) Moves() {}

// Bars are the counts as shares of the audience.
func (v notificationView) Bars() []bar {
	c := v.Counts
	of := max(c.Deliveries, c.Accepted)
	bars := []bar{
		{"accepted", "a provider took it", c.Accepted, of},
		{"delivered", "the device acknowledged", c.Delivered, of},
		{"displayed", "the app showed it", c.Displayed, of},
		{"clicked", "a person opened it", c.Clicked, of},
	}
	for _, off := range []bar{
		{"failed", "no road was left", c.Failed, of},
		{"unknown", "written, and no answer came", c.Unknown, of},
		{"expired", "its ttl passed first", c.Expired, of},
		{"cancelled", "taken back in time", c.Cancelled, of},
		{"suppressed", "a rule forbade it", c.Suppressed, of},
		{"paid_twice", "an earlier road had arrived", c.PaidTwice, of},
	} {
		if off.N > 0 || off.Name == "failed" {
			bars = append(bars, off)
		}
	}
	return bars
}

// Begun is how many deliveries no longer wait for their first attempt, and Of
// how many there will be.
func (v notificationView) Begun() uint64 {
	c := v.Counts
	return c.Accepted + c.Failed + c.Unknown + c.Expired + c.Cancelled + c.Suppressed
}

// Of is described at Begun.
func (v notificationView) Of() uint64 { return max(v.Audience, v.Counts.Deliveries, v.Begun()) }

func (s *site) notification(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	page := notificationView{App: v.app}
	if page.Notification, err = s.Notifications.Notification(r.Context(), v.app, id); err != nil {
		return fmt.Errorf("web: notification %s: %w", id, err)
	}
	list, next, err := s.Notifications.Deliveries(r.Context(), v.app, id, r.URL.Query().Get("after"), 50)
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.Log.WarnContext(r.Context(), "deliveries cannot be listed", "notification", id, "err", err)
		page.Fault = "The deliveries cannot be read now. Events wait in the spool; nothing is lost."
	}
	page.List = list
	if next != "" {
		page.Next = notificationPath(v.app, id) + "&" + url.Values{"after": {next}}.Encode()
	}
	s.render(w, r, sess, http.StatusOK, "notification", page)
	return nil
}

// deliveryView is what delivery.html shows.
type deliveryView struct {
	App, Notification string
	Delivery
}

func (s *site) delivery(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := deliveryView{App: v.app, Notification: r.PathValue("id")}
	page.Delivery, err = s.Notifications.Delivery(r.Context(), v.app, page.Notification, r.PathValue("device"))
	if err != nil {
		return fmt.Errorf("web: delivery of %s to %s: %w", page.Notification, r.PathValue("device"), err)
	}
	s.render(w, r, sess, http.StatusOK, "delivery", page)
	return nil
}

// step is one mark on a delivery's line of time: an attempt or a proof.
type step struct {
	After   float64 // milliseconds since the line's start
	Attempt *Attempt
	Proof   *Proof
}

// Start is where the line of time begins: acceptance by the API or, when that
// is no longer known, the first attempt.
func (v deliveryView) Start() time.Time {
	if v.AcceptedAt.IsZero() && len(v.Attempts) > 0 {
		return v.Attempts[0].At
	}
	return v.AcceptedAt
}

// Steps are attempts and proofs together, in the order in which they came. A
// proof stands where it reached us, by our clock and not by the device's.
func (v deliveryView) Steps() []step {
	start := v.Start()
	since := func(t time.Time) float64 { return float64(t.Sub(start)) / float64(time.Millisecond) }
	var steps []step
	for i := range v.Attempts {
		steps = append(steps, step{After: since(v.Attempts[i].At), Attempt: &v.Attempts[i]})
	}
	for i, p := range v.Receipts {
		after := p.AfterMs
		if v.AcceptedAt.IsZero() {
			after = since(p.At)
		}
		steps = append(steps, step{After: after, Proof: &v.Receipts[i]})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.After, b.After) })
	return steps
}
