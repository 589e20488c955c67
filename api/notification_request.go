package api

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/push"
)

// Limits of a notification.
const (
	defaultTTL  = 86_400    // seconds
	maxTTL      = 2_419_200 // 28 days: the longest that FCM keeps a message
	maxDelay    = 30 * 24 * time.Hour
	maxLate     = 24 * time.Hour // as long as an id is remembered
	maxWait     = 3_600          // seconds
	maxCollapse = 64             // bytes: APNs' limit
	maxCampaign = 64             // bytes
	maxParallel = 4              // roads at once
	maxAudience = 10_000         // devices or users named one by one
	// maxContent is what title, body and data may weigh together: the payload
	// limit of APNs and FCM, so beyond it no vendor takes a notification.
	maxContent = 4096
)

// notificationRequest is the body of POST /v1/notifications.
type notificationRequest struct {
	ID          string            `json:"id,omitempty"`
	To          *audienceRequest  `json:"to,omitempty"`
	Class       push.Class        `json:"class"`
	Title       string            `json:"title,omitempty"`
	Body        string            `json:"body,omitempty"`
	Data        map[string]string `json:"data,omitempty"`
	CollapseKey string            `json:"collapse_key,omitempty"`
	Campaign    string            `json:"campaign,omitempty"`
	TTLSeconds  *int              `json:"ttl_seconds"`
	Route       routeRequest      `json:"route,omitzero"`
	DeliverAt   string            `json:"deliver_at,omitempty"`

	Overrides      map[string]json.RawMessage `json:"overrides,omitempty"`
	DeliverAtLocal string                     `json:"deliver_at_local,omitempty"`
	QuietHours     push.QuietAction           `json:"quiet_hours,omitempty"`
	Digest         *digestRequest             `json:"digest,omitempty"`
	RatePerMinute  *int                       `json:"rate_per_minute,omitempty"`
	Template       string                     `json:"template,omitempty"`
	Variables      map[string]json.RawMessage `json:"variables,omitempty"`
}

type audienceRequest struct {
	Device  *string   `json:"device,omitempty"`
	Devices *[]string `json:"devices,omitempty"`
	User    *string   `json:"user,omitempty"`
	Users   *[]string `json:"users,omitempty"`
	Tag     *string   `json:"tag,omitempty"`
	All     *bool     `json:"all,omitempty"`
	Filter  *string   `json:"filter,omitempty"`

	Near    *circleRequest     `json:"near,omitempty"`
	Polygon *[]locationRequest `json:"polygon,omitempty"`
	Place   *string            `json:"place,omitempty"`
}

type routeRequest struct {
	Roads       []string   `json:"roads,omitempty"`
	Until       push.Stage `json:"until,omitempty"`
	WaitSeconds *int       `json:"wait_seconds,omitempty"`
	Parallel    *int       `json:"parallel,omitempty"`
}

var notificationForm = newForm[notificationRequest]()

// rules are what a notification is checked against beside itself.
type rules struct {
	now       time.Time
	providers map[string]CheckCredentials
	overrides map[string]CheckOverrides
	unseen    map[string]Unseen
	word      func(*push.Notification) error // see [Parts.Word]
	policy    func() (push.Policy, error)    // asked only when the route names SMS
	// place adds a fault if an audience's place is not there.
	place func(push.Audience, *faults) error
}

// notification is the only way from JSON to a [push.Notification], and holds
// all checks of the input. The hash is that of the request with its defaults
// filled in, so that white space, the order of fields and spelled-out defaults
// make no difference to idempotency.
func (r *notificationRequest) notification(app string, fs faults, rules rules) (*push.Notification, [sha256.Size]byte, error) {
	var hash [sha256.Size]byte
	if fs.has("") { // not an object: more words would only confuse
		return nil, hash, fs.err()
	}
	if r.ID != "" && !validNotificationID(r.ID) {
		fs.add("id", needNotificationID)
	}
	to := r.To.check(&fs)
	if err := rules.place(to, &fs); err != nil {
		return nil, hash, err
	}
	r.checkClass(&fs)
	r.checkContent(&fs, rules.unseen)
	r.checkOverrides(&fs, rules.overrides)
	deliverAt, ttl := r.checkTimes(&fs, rules.now)
	first, last, local := r.checkLocal(&fs, rules.now)
	r.checkQuiet(&fs)
	if rate := r.RatePerMinute; rate != nil && (*rate < 1 || *rate > maxRate) {
		fs.addf("rate_per_minute", "must be 1 to %d, not %d", maxRate, *rate)
	}
	digest := r.Digest.check(&fs, r.Class)
	if err := r.checkRoute(&fs, rules); err != nil {
		return nil, hash, err
	}
	content := &push.Notification{App: app, Title: r.Title, Body: r.Body, Data: r.Data, Overrides: r.Overrides}
	if err := r.word(&fs, content, rules); err != nil {
		return nil, hash, err
	}
	if err := fs.err(); err != nil {
		return nil, hash, err
	}

	canonical, err := json.Marshal(r)
	if err != nil {
		return nil, hash, fmt.Errorf("api: canonical notification: %w", err)
	}
	n := &push.Notification{
		App: app, ID: r.ID, To: to, Class: r.Class, Title: content.Title, Body: content.Body, Data: content.Data,
		Template: content.Template, Variables: content.Variables, Localized: content.Localized, Overrides: content.Overrides,
		CollapseKey: r.CollapseKey, Campaign: r.Campaign, AcceptedAt: rules.now, DeliverAt: deliverAt,
		ExpiresAt: later(rules.now, deliverAt).Add(ttl),
		Route:     push.Route{Roads: r.Route.Roads, Until: r.Route.Until},

		QuietHours: r.QuietHours, Digest: digest,
	}
	if local {
		n.DeliverAtLocal, n.ExpiresAt = r.DeliverAtLocal, last.Add(ttl)
		if first.After(rules.now) {
			n.DeliverAt = first
		}
	}
	if r.RatePerMinute != nil {
		n.RatePerMinute = *r.RatePerMinute
	}
	if r.Route.WaitSeconds != nil {
		n.Route.WaitSeconds = *r.Route.WaitSeconds
	}
	if r.Route.Parallel != nil {
		n.Route.Parallel = *r.Route.Parallel
	}
	return n, sha256.Sum256(canonical), nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (r *notificationRequest) checkClass(fs *faults) {
	if r.Class == "" {
		r.Class = push.Transactional
	}
	if !r.Class.Known() {
		fs.addf("class", "%q is none of otp, transactional, chat, call, marketing", shorten(string(r.Class)))
	}
}

// showsNothing tells whether no road that the notification may take shows
// anything: it names its roads, and each is told so.
func (r *notificationRequest) showsNothing(unseen map[string]Unseen) bool {
	for _, road := range r.Route.Roads {
		if ask := unseen[road]; ask == nil || !ask(r.Overrides[road]) {
			return false
		}
	}
	return len(r.Route.Roads) > 0
}

func (r *notificationRequest) checkContent(fs *faults, unseen map[string]Unseen) {
	if r.Title == "" && r.Template == "" && !fs.has("title") && !r.showsNothing(unseen) {
		fs.add("title", "is missing")
	}
	if !printable(r.CollapseKey, maxCollapse) {
		fs.addf("collapse_key", "must be at most %d bytes without control characters", maxCollapse)
	}
	if !printable(r.Campaign, maxCampaign) {
		fs.addf("campaign", "must be at most %d bytes without control characters", maxCampaign)
	}
	data := 0
	for k, v := range r.Data {
		if k == "" {
			fs.add("data", "has an empty name")
		}
		data += len(k) + len(v)
	}
	if total := len(r.Title) + len(r.Body) + data; total > maxContent {
		heaviest, most := "data", data
		if len(r.Body) > most {
			heaviest, most = "body", len(r.Body)
		}
		if len(r.Title) > most {
			heaviest = "title"
		}
		fs.addf(heaviest, "is too large: title, body and data have %d bytes together, and no vendor takes more than %d", total, maxContent)
	}
}

func (r *notificationRequest) checkTimes(fs *faults, now time.Time) (deliverAt time.Time, ttl time.Duration) {
	if r.TTLSeconds == nil {
		seconds := defaultTTL
		r.TTLSeconds = &seconds
	}
	if s := *r.TTLSeconds; s < 1 || s > maxTTL {
		fs.addf("ttl_seconds", "must be 1 to %d, not %d", maxTTL, s)
	}
	deliverAt = instant(fs, "deliver_at", r.DeliverAt)
	switch {
	case deliverAt.IsZero():
	case deliverAt.After(now.Add(maxDelay)):
		fs.add("deliver_at", "is more than 30 days ahead")
	case deliverAt.Before(now.Add(-maxLate)):
		fs.add("deliver_at", "is more than a day in the past")
	case !deliverAt.After(now):
		deliverAt = time.Time{} // the time has come
	}
	return deliverAt, time.Duration(*r.TTLSeconds) * time.Second
}

func (r *notificationRequest) checkRoute(fs *faults, rules rules) error {
	if w := r.Route.WaitSeconds; w != nil && (*w < 1 || *w > maxWait) {
		fs.addf("route.wait_seconds", "must be 1 to %d, not %d", maxWait, *w)
	}
	if p := r.Route.Parallel; p != nil && (*p < 1 || *p > maxParallel) {
		fs.addf("route.parallel", "must be 1 to %d, not %d", maxParallel, *p)
	}
	switch r.Route.Until {
	case "", push.Accepted, push.Delivered, push.Displayed:
	default:
		fs.addf("route.until", "%q is none of accepted, delivered, displayed", shorten(string(r.Route.Until)))
	}
	for i, road := range r.Route.Roads {
		field := fmt.Sprintf("route.roads[%d]", i)
		_, known := rules.providers[road]
		switch {
		case !known && road != push.Auto:
			fs.addf(field, "%q is no provider here", shorten(road))
		case slices.Contains(r.Route.Roads[:i], road):
			fs.addf(field, "%q is named twice", road)
		case push.IsSMS(road) && r.Class.Known():
			policy, err := rules.policy()
			if err != nil {
				return err
			}
			if !policy.AllowsSMS(r.Class) {
				fs.addf(field, "the app's policy allows no sms for the class %s", r.Class)
			}
		}
	}
	return nil
}

// check makes sure that exactly one audience is named.
func (a *audienceRequest) check(fs *faults) (to push.Audience) {
	if a == nil {
		if !fs.has("to") {
			fs.add("to", "is missing")
		}
		return to
	}
	var kinds []string
	if a.Device != nil {
		kinds, to.Device = append(kinds, "device"), *a.Device
		if !validDeviceID(to.Device) {
			fs.add("to.device", needDeviceID)
		}
	}
	if a.Devices != nil {
		kinds, to.Devices = append(kinds, "devices"), each(fs, "to.devices", *a.Devices, validDeviceID, needDeviceID)
	}
	if a.User != nil {
		kinds, to.User = append(kinds, "user"), *a.User
		if !validUser(to.User) {
			fs.add("to.user", needUser)
		}
	}
	if a.Users != nil {
		kinds, to.Users = append(kinds, "users"), each(fs, "to.users", *a.Users, validUser, needUser)
	}
	if a.Tag != nil {
		kinds, to.Tag = append(kinds, "tag"), *a.Tag
		if !validTag(to.Tag) {
			fs.add("to.tag", needTag)
		}
	}
	if a.All != nil {
		kinds, to.All = append(kinds, "all"), *a.All
		if !to.All {
			fs.add("to.all", "must be true, or left out")
		}
	}
	kinds = a.checkPlace(fs, &to, kinds)
	if a.Filter != nil {
		kinds = append(kinds, "filter")
		to.Filter = a.checkFilter(fs)
	}
	switch {
	case len(kinds) == 2 && a.Filter != nil && (a.Tag != nil || a.All != nil || a.Near != nil || a.Polygon != nil || a.Place != nil):
	case len(kinds) > 1:
		*fs = append(*fs, push.Fault{Field: "to", Detail: "must name exactly one audience, not " + strings.Join(kinds, " and ")})
	case len(kinds) == 0 && !fs.has("to"):
		fs.add("to", "must name exactly one of device, devices, user, users, tag, all, near, polygon, place, filter")
	}
	return to
}

// checkPlace reads an audience of who is somewhere.
func (a *audienceRequest) checkPlace(fs *faults, to *push.Audience, kinds []string) []string {
	if a.Near != nil {
		kinds, to.Near = append(kinds, "near"), a.Near.circle(fs, "to.near.")
	}
	if a.Polygon != nil {
		kinds, to.Polygon = append(kinds, "polygon"), cornersOf(fs, "to.polygon", *a.Polygon)
	}
	if a.Place != nil {
		kinds, to.Place = append(kinds, "place"), *a.Place
		if !spelled(to.Place, maxPlaceID, "") {
			fs.add("to.place", `must be 1 to 64 letters, digits, "_" or "-"`)
		}
	}
	return kinds
}

// checkFilter reads the expression of an audience. Beside "all" it says all.
func (a *audienceRequest) checkFilter(fs *faults) string {
	if _, err := audience.Parse(*a.Filter); err != nil {
		fs.add("to.filter", err.Error())
	}
	return *a.Filter
}

// each checks a list of names and leaves out repeats: nobody is sent the same
// notification twice because a list was put together carelessly.
func each(fs *faults, field string, names []string, valid func(string) bool, need string) []string {
	if len(names) == 0 || len(names) > maxAudience {
		fs.addf(field, "must have 1 to %d entries, not %d", maxAudience, len(names))
		return nil
	}
	seen := make(map[string]bool, len(names))
	unique := make([]string, 0, len(names))
	for i, name := range names {
		if !valid(name) {
			fs.add(fmt.Sprintf("%s[%d]", field, i), need)
		}
		if !seen[name] {
			seen[name] = true
			unique = append(unique, name)
		}
	}
	return unique
}

const (
	needUser = "must be 1 to 128 bytes without control characters"
	needTag  = "must be 1 to 64 bytes without control characters"
)

func validUser(s string) bool { return s != "" && printable(s, maxUser) }
func validTag(s string) bool  { return s != "" && printable(s, maxTag) }
