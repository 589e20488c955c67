package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/push"
)

// recheck is how long an opened provider is used before the version of its
// credentials is read again: the time a change may take to be noticed by other
// processes, and the reason no send waits for SQL.
const recheck = 3 * time.Second

// lookup bounds one reading of credentials, which a send waits for.
const lookup = time.Second

// Credentials keeps what apps gave us to speak to the vendors in their name.
type Credentials interface {
	// Credentials returns the JSON object of PUT /v1/apps/{app}/providers/{provider}
	// with a version that changes whenever it does. It returns push.ErrNotFound
	// if the app has none for the provider.
	Credentials(ctx context.Context, app, provider string) (credentials []byte, version int64, err error)
}

// Callbacker is a provider whose service reports later what came of a message.
type Callbacker interface {
	// Callback verifies a request of the service and reads the receipts in it;
	// body is the request's whole body. The error has kind
	// [push.ErrCredentials] if the service's signature is missing or wrong, and
	// is a *push.Invalid if the body makes no sense.
	Callback(r *http.Request, body []byte) ([]push.Receipt, error)
}

// Answerer is a [Callbacker] whose service wants to hear more than a status when
// its report was taken.
type Answerer interface {
	// CallbackAnswer is what it wants to hear, in JSON.
	CallbackAnswer() []byte
}

// Set is the providers of one process, keyed by app and provider name. It opens
// them when they are first needed and again when their credentials change. It
// is safe for concurrent use.
type Set struct {
	credentials Credentials
	openers     map[string]Opener
	fixed       map[string]*opened
	report      func(context.Context, []push.Receipt) error // nil if nobody wants them
	tokens      TokenStore                                  // nil for none
	corrections Corrections                                 // nil for none
	trials      Trials                                      // nil for none
	now         func() time.Time
	open        sync.Map // key → *entry
	fits        fits
	holds       holds
}

type key struct{ app, provider string }

// entry is one (app, provider). Whoever reads its credentials and opens it
// holds the one place in busy; senders that find it current do not look there.
type entry struct {
	busy    chan struct{}
	current atomic.Pointer[opened]
}

type opened struct {
	provider Provider // nil if err is set
	err      error    // why there is no provider
	missing  bool     // the app has no credentials
	limits   push.Limits
	version  int64
	checked  time.Time
	trial    *trial // of new credentials; nil for others
}

// NewSet makes a set whose providers come from openers, by provider name. The
// fixed ones, such as "live", are the same for every app and need no
// credentials.
func NewSet(c Credentials, openers map[string]Opener, fixed map[string]Provider) *Set {
	s := &Set{credentials: c, openers: openers, fixed: make(map[string]*opened, len(fixed)), now: time.Now}
	for name, p := range fixed {
		s.fixed[name] = &opened{provider: p}
	}
	return s
}

// Reports says whom to give what a [Reporter] hears. It is called before the
// first Send.
func (s *Set) Reports(report func(context.Context, []push.Receipt) error) { s.report = report }

// ShareTokens says where access tokens are kept for all processes. It is called
// before the first Send.
func (s *Set) ShareTokens(store TokenStore) { s.tokens = store }

// CorrectedBy says where apps keep what they correct in the tables of codes. It
// is called before the first Send.
func (s *Set) CorrectedBy(c Corrections) { s.corrections = c }

// Send makes one attempt through the app's provider of that name. Where the app
// has no credentials for it the kind is [push.ErrCredentials].
func (s *Set) Send(ctx context.Context, app, provider string, d *push.Delivery) (push.Answer, error) {
	o, err := s.opened(ctx, app, provider)
	if err != nil {
		return push.Answer{}, err
	}
	if held := s.holds.of(app, provider, o.provider, d); held != nil {
		return push.Answer{}, held
	}
	answer, err := s.send(ctx, o.provider, d)
	err = s.holds.learn(app, provider, o.provider, d, err)
	s.try(ctx, app, provider, o, err)
	return answer, err
}

// send makes the attempt, with the notification as short as the provider takes it.
func (s *Set) send(ctx context.Context, p Provider, d *push.Delivery) (push.Answer, error) {
	if k := s.fits.known(p, d.Notification); k != nil && k.n != nil {
		return p.Send(ctx, k.wear(d))
	}
	answer, err := p.Send(ctx, d)
	if k := s.tooLong(p, d, err); k != nil {
		return p.Send(ctx, k.wear(d))
	}
	return answer, err
}

// tooLong is what a delivery's notification is shortened to where the provider
// refused it for its length, and so before anything was sent: Weigh gives the
// same refusal. nil is any other answer.
func (s *Set) tooLong(p Provider, d *push.Delivery, answer error) *fitted {
	if !errors.Is(answer, push.ErrRejected) {
		return nil
	}
	_, refusal := p.Weigh(d)
	if k := s.fits.fit(p, d, refusal); k != nil && k.n != nil {
		return k
	}
	return nil
}

// Batch tells how many devices of a notification its app's provider of that name
// takes in one request now; 1 is one at a time, or no provider.
func (s *Set) Batch(ctx context.Context, n *push.Notification, provider string) int {
	p, err := s.provider(ctx, n.App, provider)
	if err != nil {
		return 1
	}
	if b, ok := p.(Batcher); ok {
		return b.Batch(n)
	}
	return 1
}

// SendBatch makes one attempt for deliveries of one chunk. It returns a reply to
// each, in their order.
func (s *Set) SendBatch(ctx context.Context, app, provider string, ds []*push.Delivery) []push.Reply {
	o, err := s.opened(ctx, app, provider)
	if err != nil {
		return Each(len(ds), push.Answer{}, err)
	}
	b, ok := o.provider.(Batcher)
	if !ok { // the credentials changed since Batch was asked
		return Each(len(ds), push.Answer{}, &push.Error{Provider: provider, Kind: push.ErrUnavailable, Detail: "it takes one device at a time now"})
	}
	replies, rest, places := s.holds.sift(app, provider, b, ds)
	if len(rest) == 0 {
		return replies
	}
	answered := s.sendBatch(ctx, b, rest)
	for i := range answered {
		answered[i].Err = s.holds.learn(app, provider, b, rest[i], answered[i].Err)
	}
	s.try(ctx, app, provider, o, ofRequest(answered))
	if replies == nil { // nobody had to wait
		return answered
	}
	for i, at := range places {
		replies[at] = answered[i]
	}
	return replies
}

// ofRequest is what the replies say of the request: that it was taken, if it was
// for anybody.
func ofRequest(replies []push.Reply) error {
	if slices.ContainsFunc(replies, func(r push.Reply) bool { return r.Err == nil }) {
		return nil
	}
	return replies[0].Err
}

func (s *Set) sendBatch(ctx context.Context, b Batcher, ds []*push.Delivery) []push.Reply {
	if k := s.fits.known(b, ds[0].Notification); k != nil && k.n != nil {
		return b.SendBatch(ctx, k.wearAll(ds))
	}
	replies := b.SendBatch(ctx, ds)
	if k := s.tooLong(b, ds[0], replies[0].Err); k != nil {
		return b.SendBatch(ctx, k.wearAll(ds))
	}
	return replies
}

// Deduplicates tells whether a message that goes out twice through the app's
// provider of that name is seen once.
func (s *Set) Deduplicates(ctx context.Context, app, provider string) bool {
	p, err := s.provider(ctx, app, provider)
	if err != nil {
		return false
	}
	d, ok := p.(Deduplicator)
	return ok && d.Deduplicates()
}

// Weigh returns the delivery's size with the app's provider of that name.
func (s *Set) Weigh(ctx context.Context, app, provider string, d *push.Delivery) (push.Payload, error) {
	p, err := s.provider(ctx, app, provider)
	if err != nil {
		return push.Payload{}, err
	}
	w, err := p.Weigh(d)
	if k := s.fits.fit(p, d, err); k != nil && k.n != nil {
		if w, err = p.Weigh(k.wear(d)); err == nil {
			w.Shortened = k.cut
		}
	}
	return w, err
}

// Callback has the provider verify and read a request of its service. The
// query parameter "app" of the address that was given to the service says
// whose credentials to verify it with. Answer is what the service wants to hear
// once the receipts are kept; nil for nothing.
func (s *Set) Callback(ctx context.Context, provider string, r *http.Request, body []byte) (rs []push.Receipt, answer []byte, err error) {
	p, err := s.provider(ctx, r.URL.Query().Get("app"), provider)
	if err != nil {
		return nil, nil, err
	}
	c, ok := p.(Callbacker)
	if !ok {
		return nil, nil, fmt.Errorf("providers: callback of %s: %w", provider, push.ErrNotFound)
	}
	if a, ok := p.(Answerer); ok {
		answer = a.CallbackAnswer()
	}
	rs, err = c.Callback(r, body)
	return rs, answer, err
}

// Check opens a provider from credentials without keeping it, to find faults
// before they are stored. It returns push.ErrNotFound for a provider that is
// not one of the set's openers.
func (s *Set) Check(provider string, credentials []byte) error {
	open, ok := s.openers[provider]
	if !ok {
		return fmt.Errorf("providers: %s: %w", provider, push.ErrNotFound)
	}
	p, err := open(credentials)
	if err != nil {
		return err
	}
	_, err = limitsOf(p, credentials)
	retire(p)
	return err
}

// Changed makes the next send read the credentials again at once. Other
// processes notice by themselves within seconds.
func (s *Set) Changed(app, provider string) {
	if found, ok := s.open.LoadAndDelete(key{app, provider}); ok {
		if cur := found.(*entry).current.Load(); cur != nil && cur.provider != nil {
			retire(cur.provider)
		}
	}
}

// Recheck makes the next send read the credentials and corrections again at
// once, and keeps the provider open if they are the same.
func (s *Set) Recheck(app, provider string) {
	found, ok := s.open.Load(key{app, provider})
	if !ok {
		return
	}
	e := found.(*entry)
	if cur := e.current.Load(); cur != nil {
		stale := *cur
		stale.checked = time.Time{}
		e.current.CompareAndSwap(cur, &stale) // whoever was faster reads them anyway
	}
}

// Awaiter is a [Reporter] that can wait for receipts of what it did not send
// itself, such as of what went out before a restart.
type Awaiter interface {
	// Await keeps the connection to the service until then. It does not wait.
	Await(until time.Time)
}

// Await has the app's provider of that name wait for receipts until then, if it
// is one that can.
func (s *Set) Await(ctx context.Context, app, provider string, until time.Time) error {
	p, err := s.provider(ctx, app, provider)
	if err != nil {
		return err
	}
	if a, ok := p.(Awaiter); ok {
		a.Await(until)
	}
	return nil
}

// provider finds the provider, opening or reopening it if need be.
func (s *Set) provider(ctx context.Context, app, name string) (Provider, error) {
	o, err := s.opened(ctx, app, name)
	if err != nil {
		return nil, err
	}
	return o.provider, nil
}

// opened is the provider with what is known of it.
func (s *Set) opened(ctx context.Context, app, name string) (*opened, error) {
	if o, ok := s.fixed[name]; ok {
		return o, nil
	}
	open, ok := s.openers[name]
	if !ok {
		return nil, &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "there is no provider of this name"}
	}
	found, ok := s.open.Load(key{app, name})
	if !ok {
		found, _ = s.open.LoadOrStore(key{app, name}, &entry{busy: make(chan struct{}, 1)})
	}
	e := found.(*entry)

	if cur := e.current.Load(); s.isCurrent(cur) {
		return cur.ready()
	}
	return s.refresh(ctx, e, app, name, open)
}

// ready is what a send may use.
func (o *opened) ready() (*opened, error) {
	if o.err != nil {
		return nil, o.err
	}
	return o, nil
}

// refresh reads the credentials and reopens the provider if they changed. When
// the store is away it goes on with the provider it has.
func (s *Set) refresh(ctx context.Context, e *entry, app, name string, open Opener) (*opened, error) {
	cur := e.current.Load()
	if cur != nil {
		select {
		case e.busy <- struct{}{}:
		default: // somebody else is looking; the old one serves meanwhile
			return cur.ready()
		}
	} else {
		select {
		case e.busy <- struct{}{}:
		case <-ctx.Done():
			return nil, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "still opening", Err: ctx.Err()}
		}
	}
	defer func() { <-e.busy }()
	if cur = e.current.Load(); s.isCurrent(cur) {
		return cur.ready()
	}

	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	credentials, version, err := s.credentials.Credentials(ctx, app, name)
	next := &opened{version: version, checked: s.now()}
	switch {
	case errors.Is(err, push.ErrNotFound):
		next.missing = true
		next.err = &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the app has no credentials for this provider"}
	case err != nil && cur != nil:
		*next = *cur
		next.checked = s.now()
	case err != nil: // nothing to go on with, and nothing to remember
		return nil, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "credentials cannot be read", Err: err}
	case cur != nil && !cur.missing && cur.version == version:
		next.provider, next.err, next.limits, next.trial = cur.provider, cur.err, cur.limits, cur.trial
	default:
		if next.provider, next.limits, err = openLimited(open, credentials); err != nil {
			next.provider = nil
			next.err = &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the app's credentials cannot be used", Err: err}
		} else {
			next.trial = s.onTrial(ctx, app, name, version)
			s.introduce(next.provider, fmt.Sprintf("%s/%s/%d", app, name, version))
		}
	}
	s.correct(ctx, next.provider, app, name)
	if cur != nil && cur.provider != nil && cur.provider != next.provider {
		retire(cur.provider)
	}
	e.current.Store(next)
	return next.ready()
}

func openLimited(open Opener, credentials []byte) (Provider, push.Limits, error) {
	p, err := open(credentials)
	if err != nil {
		return nil, push.Limits{}, err
	}
	limits, err := limitsOf(p, credentials)
	if err != nil {
		retire(p)
		return nil, limits, err
	}
	return p, limits, nil
}

// introduce tells a new provider whom to report to and where to keep its tokens.
// The key names the credentials, for with others the token is another.
func (s *Set) introduce(p Provider, key string) {
	if r, ok := p.(Reporter); ok && s.report != nil {
		r.Reports(s.report)
	}
	if t, ok := p.(TokenSharer); ok && s.tokens != nil {
		t.ShareTokens(s.tokens, key)
	}
}

func (s *Set) isCurrent(o *opened) bool {
	return o != nil && s.now().Sub(o.checked) < recheck
}

// retire lets go of a provider's idle connections. Attempts under way finish.
func retire(p Provider) {
	if c, ok := p.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
