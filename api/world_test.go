package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/wording"
	"github.com/herald-push/herald/push"
)

// noon is when every test takes place.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys and tokens that are good in the world.
const (
	adminKey    = "hk_admin000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	sendKey     = "hk_sender00_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	otherKey    = "hk_other000_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
	deviceToken = "token-of-demo-d1"
)

// world is everything behind the API, in memory: the queue and the stores have
// rooms and tests of their own, and what is asked here is what the API makes
// of their answers.
type world struct {
	mu          sync.Mutex
	devices     map[string]push.Device
	apps        map[string]push.App
	keys        map[string]Key
	credentials map[string]CredentialsInfo
	secrets     map[string]string
	queued      map[string]push.Progress
	hashes      map[string][32]byte
	last        *push.Notification
	received    []push.Receipt
	plan        push.Plan
	lanes       []push.Lane
	traces      []push.Trace
	users       map[string]push.User
	schedules   map[string]push.Schedule
	templates   map[string]push.Template
	corrections []push.Correction
	members     map[string]push.Member
	changes     []push.Change
	auditErr    error
	tasks       []push.QueueTask
	rate        int
	drained     string
	onEnqueue   func(ctx context.Context, n *push.Notification) error // nil: take everything
	keyReads    int
	storeErr    error
	where       *placeWorld
}

func newWorld() *world {
	w := &world{
		devices:     map[string]push.Device{},
		apps:        map[string]push.App{"demo": {ID: "demo", Name: "Demo", Policy: push.Policy{SMSClasses: []push.Class{push.OTP}}}},
		keys:        map[string]Key{},
		credentials: map[string]CredentialsInfo{},
		secrets:     map[string]string{},
		tasks:       someTasks(),
		queued:      map[string]push.Progress{},
		hashes:      map[string][32]byte{},
		members:     map[string]push.Member{"demo/ann@example.com": {App: "demo", Email: "ann@example.com", Role: "operator", CreatedAt: noon, UpdatedAt: noon}},
		changes: []push.Change{{
			ID: "0198", App: "demo", At: noon, Who: "ann@example.com", Via: "person", From: "192.0.2.7", Action: "lane.put", Target: "/v1/lanes/apns",
			Status: 200, Before: json.RawMessage(`{"state":"open"}`), After: json.RawMessage(`{"state":"off"}`),
		}},
		users: map[string]push.User{"demo/u-17": {App: "demo", ID: "u-17", Timezone: "Europe/Berlin", UpdatedAt: noon}},
		templates: map[string]push.Template{"demo/parcel": {
			App: "demo", ID: "parcel", DefaultLocale: "en", Variables: map[string]push.Variable{"count": {Type: "number"}}, Version: 1,
			Locales: map[string]push.Content{
				"en":      {Title: "{{count, plural, one {# parcel} other {# parcels}}}", Body: "On the way"},
				"zh-Hant": {Title: "{{count}} 件包裹"},
			}, CreatedAt: noon, UpdatedAt: noon,
		}},
		schedules: map[string]push.Schedule{"demo/morning": {
			App: "demo", ID: "morning", Cron: "0 9 * * *", Timezone: "Europe/Berlin", NextAt: noon.Add(20 * time.Hour), CreatedAt: noon, UpdatedAt: noon,
			Request: json.RawMessage(`{"to":{"all":true},"class":"marketing","title":"Good morning","ttl_seconds":3600}`),
		}},
	}
	w.corrections = []push.Correction{{
		App: "demo", Provider: "apns", Code: "ExpiredToken", Kind: "unreachable", Means: "our app comes back", By: "admin000", At: noon,
	}}
	w.addKey(adminKey, "demo", ScopeAdmin)
	w.addKey(sendKey, "demo", ScopeSend)
	w.addKey(otherKey, "other", ScopeAdmin)
	d1 := push.Device{
		App: "demo", ID: "d1", User: "u-17", Platform: "ios", Country: "DE",
		Addresses: []push.Address{{Provider: "apns", Token: "8f3c0de5a1"}}, CreatedAt: noon, UpdatedAt: noon,
	}
	w.devices["demo/d1"] = d1
	w.queued["demo/order-1"] = push.Progress{
		ID: "order-1", State: push.Done, Class: push.Transactional, AcceptedAt: noon, ExpiresAt: noon.Add(time.Hour),
		Counts: push.Counts{Deliveries: 1, Accepted: 1, Delivered: 1}, Outcomes: push.Outcomes{Delivered: 1},
	}
	w.queued["demo/campaign:1"] = push.Progress{
		ID: "campaign:1", State: push.Sending, Class: push.Marketing, AcceptedAt: noon, ExpiresAt: noon.Add(time.Hour), Audience: 200_000,
		Counts: push.Counts{Deliveries: 50_000, Accepted: 49_000, Delivered: 40_000}, Outcomes: push.Outcomes{Delivered: 40_000, Waiting: 10_000},
	}
	w.traces = []push.Trace{{
		ID: "order-1.0.0", Device: "d1", Stage: push.Delivered,
		Attempts: []push.Attempt{{Number: 1, Provider: "apns", ProviderID: "A1", Stage: push.Accepted, Why: "the only road", At: noon, TookMillis: 12.5}},
		Receipts: []push.Proof{{Stage: push.Delivered, Source: push.AppReport, At: noon, ReceivedAt: noon, AfterMs: 840}},
	}}
	w.lanes = []push.Lane{
		{
			App: "demo", Provider: "huawei", State: push.LaneOpen, Workers: 2, InFlight: 12, Limit: 128, Waiting: 3, PerSecond: 840.5, Bound: 6000,
			Quotas: []push.QuotaUse{
				{Name: "marketing_per_device", PerDevice: true, Limit: 2, Used: 1200, Refused: 7, RenewsAt: noon.Add(4 * time.Hour)},
			},
		},
		{
			App: "demo", Provider: "oppo", State: push.LaneClosed, Why: "10 requests in a row failed: unavailable", Until: noon.Add(time.Minute),
			Workers: 2, Closed: 1, Limit: 64,
			Classes: []push.ClosedClass{{Class: push.Marketing, Why: "the provider's quota is used up", Until: noon.Add(4 * time.Hour)}},
			Quotas:  []push.QuotaUse{{Name: "public", Limit: 100000, Used: 90000, PerSecond: 2, EndsAt: noon.Add(83 * time.Minute), RenewsAt: noon.Add(4 * time.Hour)}},
		},
	}
	w.plan = push.Plan{
		Devices: 1,
		Roads:   []push.PlannedRoad{{Provider: "apns", Devices: 1}},
		Payloads: []push.PlannedPayload{
			{Provider: "apns", Bytes: 212, Limit: 4096},
			{Provider: "sms", Bytes: 200, Limit: 1600, Segments: 2, CostMicros: 15_800},
		},
		Sample: []push.PlannedDelivery{{Device: "d1", Roads: []push.PlannedStep{
			{Provider: "live", Why: "the route begins with it", Skipped: "not connected"},
			{Provider: "apns", Why: "the only vendor of the device"},
		}, Decision: &push.Decision{Policy: "auto", Propensity: 1, Roads: []push.Candidate{
			{Provider: "apns", Score: 0.75, Propensity: 1, Chance: 0.75, Seconds: 0.5},
			{Provider: "sms", Score: 0.5, Chance: 0.75, Cost: 0.25},
		}}}},
	}
	return w
}

func (w *world) addKey(text, app string, scopes ...Scope) {
	id, ok := keyID(text)
	if !ok {
		panic("test key is malformed: " + text)
	}
	w.keys[id] = Key{ID: id, App: app, Name: "test", Scopes: scopes, Hash: sha256.Sum256([]byte(text)), CreatedAt: noon}
}

func (w *world) Enqueue(ctx context.Context, n *push.Notification, hash [32]byte) (push.Progress, error) {
	if w.onEnqueue != nil {
		if err := w.onEnqueue(ctx, n); err != nil {
			return push.Progress{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := n.App + "/" + n.ID
	if p, known := w.queued[k]; known {
		if w.hashes[k] != hash {
			return push.Progress{}, push.ErrConflict
		}
		return p, nil
	}
	p := push.Progress{ID: n.ID, State: push.Queued, Class: n.Class, AcceptedAt: n.AcceptedAt, DeliverAt: n.DeliverAt, ExpiresAt: n.ExpiresAt}
	if !n.DeliverAt.IsZero() {
		p.State = push.Scheduled
	}
	w.queued[k], w.hashes[k], w.last = p, hash, n
	return p, nil
}

func (w *world) Lanes(_ context.Context, app string) ([]push.Lane, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil || app != "demo" {
		return nil, w.storeErr
	}
	return slices.Clone(w.lanes), nil
}

func (w *world) SwitchLane(_ context.Context, _, provider, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.lanes {
		if l := &w.lanes[i]; l.Provider == provider {
			l.State, l.Why, l.Until = push.LaneOpen, "", time.Time{}
			if reason != "" {
				l.State, l.Why = push.LaneOff, reason
			}
		}
	}
	return w.storeErr
}

func (w *world) Progress(_ context.Context, app, id string) (push.Progress, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.queued[app+"/"+id]
	if !ok {
		return p, push.ErrNotFound
	}
	return p, nil
}

func (w *world) Cancel(ctx context.Context, app, id string) (push.Progress, error) {
	p, err := w.Progress(ctx, app, id)
	if err == nil && p.State != push.Done {
		p.State = push.TakenBack
	}
	return p, err
}

func (w *world) Pause(ctx context.Context, app, id string) (push.Progress, error) {
	p, err := w.Progress(ctx, app, id)
	if err == nil && p.State != push.Done {
		p.State = push.Paused
	}
	return p, err
}

func (w *world) Resume(ctx context.Context, app, id string) (push.Progress, error) {
	return w.Progress(ctx, app, id)
}

func (w *world) Receive(_ context.Context, rs []push.Receipt) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(rs))
	for i, r := range rs {
		switch {
		case w.storeErr != nil:
			errs[i] = w.storeErr
		case r.Device != "d1" || r.Notification != "order-1":
			errs[i] = push.ErrNotFound
		default:
			w.received = append(w.received, r)
		}
	}
	return errs
}

func (w *world) Plan(context.Context, *push.Notification) (push.Plan, error) {
	return w.plan, w.storeErr
}

func (w *world) PutDevice(_ context.Context, d *push.Device) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	d.CreatedAt, d.UpdatedAt = noon, noon
	w.devices[d.App+"/"+d.ID] = *d
	return w.storeErr
}

func (w *world) Device(_ context.Context, app, id string) (*push.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.devices[app+"/"+id]
	if !ok {
		return nil, push.ErrNotFound
	}
	return &d, w.storeErr
}

func (w *world) DeleteDevice(_ context.Context, app, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.devices[app+"/"+id]; !ok {
		return push.ErrNotFound
	}
	delete(w.devices, app+"/"+id)
	return nil
}

func (w *world) App(_ context.Context, id string) (push.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.apps[id]
	if !ok {
		return a, push.ErrNotFound
	}
	return a, w.storeErr
}

func (w *world) PutApp(_ context.Context, a push.App) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apps[a.ID] = a
	return nil
}

func (w *world) PutKey(_ context.Context, k Key) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[k.ID] = k
	return nil
}

func (w *world) Key(_ context.Context, id string) (Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keyReads++
	k, ok := w.keys[id]
	if !ok {
		return k, push.ErrNotFound
	}
	return k, nil
}

func (w *world) Keys(_ context.Context, app string) ([]Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []Key
	for _, id := range slices.Sorted(maps.Keys(w.keys)) {
		if w.keys[id].App == app {
			keys = append(keys, w.keys[id])
		}
	}
	return keys, nil
}

func (w *world) DeleteKey(_ context.Context, app, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys[id].App != app {
		return push.ErrNotFound
	}
	delete(w.keys, id)
	return nil
}

func (w *world) RollBackCredentials(_ context.Context, app, provider string) (CredentialsInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil || app != "demo" || provider != "fcm" {
		return CredentialsInfo{}, cmp.Or(w.storeErr, push.ErrNotFound)
	}
	return CredentialsInfo{Provider: provider, Version: 3, UpdatedAt: noon}, nil
}

func (w *world) PutCredentials(_ context.Context, app, provider string, secret []byte) (CredentialsInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.credentials[app+"/"+provider]
	info = CredentialsInfo{Provider: provider, Version: info.Version + 1, UpdatedAt: noon}
	w.credentials[app+"/"+provider], w.secrets[app+"/"+provider] = info, string(secret)
	return info, nil
}

func (w *world) CredentialsInfo(_ context.Context, app, provider string) (CredentialsInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, ok := w.credentials[app+"/"+provider]
	if !ok {
		return info, push.ErrNotFound
	}
	return info, nil
}

func (w *world) DeleteCredentials(_ context.Context, app, provider string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.credentials[app+"/"+provider]; !ok {
		return push.ErrNotFound
	}
	delete(w.credentials, app+"/"+provider)
	return nil
}

func (w *world) PutCorrection(_ context.Context, c push.Correction) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corrections = append(w.corrections, c)
	return w.storeErr
}

func (w *world) Corrections(_ context.Context, app, provider string) ([]push.Correction, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []push.Correction
	for _, c := range w.corrections {
		if c.App == app && c.Provider == provider {
			all = append(all, c)
		}
	}
	return all, w.storeErr
}

func (w *world) DeleteCorrection(_ context.Context, app, provider string, status int, code string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := len(w.corrections)
	w.corrections = slices.DeleteFunc(w.corrections, func(c push.Correction) bool {
		return c.App == app && c.Provider == provider && c.Status == status && c.Code == code
	})
	if len(w.corrections) == was {
		return push.ErrNotFound
	}
	return w.storeErr
}

func (w *world) PutUser(_ context.Context, u *push.User) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	u.UpdatedAt = noon
	w.users[u.App+"/"+u.ID] = *u
	return w.storeErr
}

func (w *world) User(_ context.Context, app, id string) (push.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, ok := w.users[app+"/"+id]
	if !ok {
		return u, push.ErrNotFound
	}
	return u, w.storeErr
}

func (w *world) DeleteUser(ctx context.Context, app, id string) error {
	_, err := w.User(ctx, app, id)
	delete(w.users, app+"/"+id)
	return err
}

func (w *world) PutSchedule(_ context.Context, sc *push.Schedule) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	sc.CreatedAt, sc.UpdatedAt = noon, noon
	w.schedules[sc.App+"/"+sc.ID] = *sc
	return w.storeErr
}

func (w *world) Schedule(_ context.Context, app, id string) (*push.Schedule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sc, ok := w.schedules[app+"/"+id]
	if !ok {
		return nil, push.ErrNotFound
	}
	return &sc, w.storeErr
}

func (w *world) Schedules(_ context.Context, app, after string, limit int) ([]*push.Schedule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*push.Schedule
	for _, k := range slices.Sorted(maps.Keys(w.schedules)) {
		if sc := w.schedules[k]; sc.App == app && sc.ID > after && len(all) < limit {
			all = append(all, &sc)
		}
	}
	return all, w.storeErr
}

func (w *world) DeleteSchedule(ctx context.Context, app, id string) error {
	_, err := w.Schedule(ctx, app, id)
	delete(w.schedules, app+"/"+id)
	return err
}

func (w *world) PutTemplate(_ context.Context, t *push.Template) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Version, t.CreatedAt, t.UpdatedAt = w.templates[t.App+"/"+t.ID].Version+1, noon, noon
	w.templates[t.App+"/"+t.ID] = *t
	return w.storeErr
}

func (w *world) Template(_ context.Context, app, id string) (*push.Template, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.templates[app+"/"+id]
	if !ok {
		return nil, push.ErrNotFound
	}
	return &t, w.storeErr
}

func (w *world) Templates(_ context.Context, app, after string, limit int) ([]*push.Template, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*push.Template
	for _, k := range slices.Sorted(maps.Keys(w.templates)) {
		if t := w.templates[k]; t.App == app && t.ID > after && len(all) < limit {
			all = append(all, &t)
		}
	}
	return all, w.storeErr
}

func (w *world) DeleteTemplate(ctx context.Context, app, id string) error {
	_, err := w.Template(ctx, app, id)
	delete(w.templates, app+"/"+id)
	return err
}

// daily stands for the scheduler's reading of cron lines.
func daily(line, _ string, after time.Time, n int) ([]time.Time, error) {
	if line != "0 9 * * *" {
		return nil, errors.New("scheduler: cron line: expected exactly 5 fields")
	}
	var all []time.Time
	for i := range n {
		all = append(all, after.Truncate(24*time.Hour).AddDate(0, 0, i+1).Add(8*time.Hour))
	}
	return all, nil
}

func (w *world) Trace(_ context.Context, app, notification, device, _ string, limit int) ([]push.Trace, string, error) {
	var found []push.Trace
	for _, t := range w.traces {
		if app == "demo" && strings.HasPrefix(t.ID, notification+".") && (device == "" || device == t.Device) {
			found = append(found, t)
		}
	}
	if len(found) > limit {
		return found[:limit], "more", w.storeErr
	}
	return found, "", w.storeErr
}

func (w *world) Mint(_ context.Context, app, device string) (string, time.Time, error) {
	return "token-of-" + app + "-" + device, noon.Add(24 * time.Hour), nil
}

func (w *world) Verify(_ context.Context, token string) (app, device string, err error) {
	if token != deviceToken {
		return "", "", errors.New("test: no such token")
	}
	return "demo", "d1", w.storeErr
}

// checkSandbox stands for a provider's own check of credentials.
func checkSandbox(raw []byte) error {
	var in struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(raw, &in) != nil || in.Key == "" {
		return &push.Invalid{Faults: []push.Fault{{Field: "key", Detail: "is missing"}}}
	}
	return nil
}

func (w *world) furnish() Parts {
	w.where = newPlaceWorld(w)
	return Parts{
		Whereabouts: w.where, Map: placeMap{w.where},
		Queue: w, Devices: w, Apps: w, Keys: w, Credentials: w, Deliveries: w, Tokens: w,
		Chat:        Chat{Talk: chatWorld{}, Groups: chatWorld{}, People: chatWorld{}},
		Codes:       map[string]json.RawMessage{"apns": json.RawMessage(`{"source":"https://developer.apple.com","date":"2026-11-23","codes":[{"status":410,"code":"Unregistered","kind":"unregistered","means":"the app was deleted"}]}`)},
		Corrections: w,
		Users:       w, Persons: w, Schedules: w, Firings: daily, Templates: w, Word: wording.NewBook(w).Word, Lanes: w, Webhooks: hookWorld{}, Gateway: businessWorld(), Businesses: &businesses{}, Members: w, Audit: w, Desk: w,
		Providers: map[string]CheckCredentials{"live": nil, "apns": checkSandbox, "fcm": checkSandbox, "sms": checkSandbox, "huawei": checkSandbox},
		Unseen:    map[string]Unseen{"apns": saysNothing, "fcm": saysNothing},
		Overrides: map[string]CheckOverrides{"apns": checkWords, "fcm": checkWords},
		Callbacks: map[string]Callback{"sms": signedCallback, "huawei": answeredCallback},
		Checks:    map[string]Check{"redis": func(context.Context) error { return nil }},
		Now:       func() time.Time { return noon },
	}
}

// answeredCallback is of a vendor that wants to hear something.
func answeredCallback(ctx context.Context, r *http.Request, body []byte) (rs []push.Receipt, answer []byte, err error) {
	rs, _, err = signedCallback(ctx, r, body)
	return rs, []byte(`{"code":"0"}`), err
}

func signedCallback(_ context.Context, r *http.Request, body []byte) (rs []push.Receipt, answer []byte, err error) {
	if r.Header.Get("X-Signature") != "good" {
		return nil, nil, push.ErrCredentials
	}
	return []push.Receipt{{
		App: "demo", Device: "d1", Notification: "order-1", Delivery: string(body),
		Stage: push.Delivered, Source: push.VendorCallback, At: noon, ReceivedAt: noon,
	}}, nil, nil
}

// saysNothing plays a provider that shows nothing for the word "none".
func saysNothing(raw []byte) bool { return string(raw) == `{"word":"none"}` }

// checkWords plays a provider that takes "word" and "token" and nothing else.
func checkWords(raw []byte) error {
	var o map[string]any
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return &push.Invalid{Faults: []push.Fault{{Detail: "must be an object"}}}
	}
	var faults []push.Fault
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if key != "word" && key != "token" {
			faults = append(faults, push.Fault{Field: key, Detail: "is not a word of this provider"})
		}
	}
	if faults != nil {
		return &push.Invalid{Faults: faults}
	}
	return nil
}
