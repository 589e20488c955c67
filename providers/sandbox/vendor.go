package sandbox

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// maxDead bounds how many tokens of a vendor may be declared dead.
const maxDead = 100_000

// vendor is what the three have in common: faults, counts, devices.
type vendor struct {
	name, url string
	gate      *gate
	shelf     *shelf
	hooks     *hooks
	words     words
	script    script
	log       requestLog

	settings atomic.Pointer[Settings]
	limiter  atomic.Pointer[rate.Limiter] // nil without a limit
	counts   counts
	mu       sync.RWMutex
	dead     map[string]time.Time

	reports atomic.Pointer[string] // where receipts go, for one that is told once; nil for nowhere

	day  atomic.Int64 // since 1970, that used counts
	used atomic.Int64 // messages accepted on it
}

// words are a vendor's errors by its own names, and how it tells them.
type words struct {
	internal string // the word for "our fault"
	limited  string // the word for "too fast"
	quota    string // the word for "no more today"; "" if it is that for "too fast"
	knows    func(word string) bool
	opening  func(word string) bool // words for whoever connects, not for a message; nil if there are none
	tell     func(w http.ResponseWriter, word string)
}

// counts only grow until a reset.
type counts struct {
	requests, accepted, shown, replaced, lost atomic.Int64
	callbacks, callbacksLost, callbacksFailed atomic.Int64
	refused                                   sync.Map // word → *atomic.Int64
}

// Counts are what a vendor has seen since it started or was reset.
type Counts struct {
	Requests        int64            `json:"requests"` // attempts, whatever became of them
	Accepted        int64            `json:"accepted"`
	Refused         map[string]int64 `json:"refused"`   // by the vendor's word
	Shown           int64            `json:"shown"`     // reached a device
	Replaced        int64            `json:"replaced"`  // of these, in place of an earlier one
	Lost            int64            `json:"lost"`      // accepted, and no device will hear
	Callbacks       int64            `json:"callbacks"` // receipts that their receiver took
	CallbacksLost   int64            `json:"callbacks_lost"`
	CallbacksFailed int64            `json:"callbacks_failed"` // their receiver did not take them
}

func newVendor(name string, g *gate, url string, s *shelf, h *hooks) *vendor {
	v := &vendor{name: name, url: url, gate: g, shelf: s, hooks: h, dead: make(map[string]time.Time)}
	v.settings.Store(&Settings{Outage: NoOutage, LatencySpread: Uniform, ReceiptSpread: Uniform})
	return v
}

// set changes the vendor's manners from the next request on.
func (v *vendor) set(s Settings) error {
	if err := s.validate(v.words.knows); err != nil {
		return err
	}
	if s.RatePerS > 0 {
		v.limiter.Store(rate.NewLimiter(rate.Limit(s.RatePerS), max(s.RatePerS/10, 1)))
	} else {
		v.limiter.Store(nil)
	}
	v.settings.Store(&s)
	v.gate.set(s.Outage == Refuse)
	return nil
}

// trouble plays the outage of the moment and reports whether it did.
func (v *vendor) trouble(w http.ResponseWriter, r *http.Request, s *Settings) bool {
	switch s.Outage {
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	case Reset, Refuse: // a request that came in before the door was shut
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	case HTML:
		_, _ = io.Copy(io.Discard, r.Body)
		badGateway(w)
		return true
	default: // NoOutage; and Silent, which answers as ever and then loses the message
		return false
	}
}

// meddle plays whatever the settings ask for before an attempt is looked at,
// and reports whether that was its answer.
func (v *vendor) meddle(w http.ResponseWriter, r *http.Request) bool {
	s := v.settings.Load()
	v.counts.requests.Add(1)
	if v.trouble(w, r, s) {
		return true
	}
	if !pause(r, s.latency()) {
		return true
	}
	if s.QuotaPerDay > 0 && v.usedToday() >= int64(s.QuotaPerDay) {
		v.refuse(w, cmp.Or(v.words.quota, v.words.limited))
		return true
	}
	if l := v.limiter.Load(); l != nil && !l.Allow() {
		v.refuse(w, v.words.limited)
		return true
	}
	if (v.words.opening == nil || !v.words.opening(s.Error)) && happens(s.ErrorRate) {
		word := s.Error
		if word == "" {
			word = v.words.internal
		}
		v.refuse(w, word)
		return true
	}
	return false
}

// refuse answers with the vendor's word for what is wrong.
func (v *vendor) refuse(w http.ResponseWriter, word string) {
	v.counts.refuse(word)
	v.words.tell(w, word)
}

func (c *counts) refuse(word string) {
	n, ok := c.refused.Load(word)
	if !ok {
		n, _ = c.refused.LoadOrStore(word, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// retryAfter adds the header that 429 and 503 answers may carry.
func (v *vendor) retryAfter(w http.ResponseWriter, status int) {
	if s := v.settings.Load(); s.RetryAfterS > 0 && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(s.RetryAfterS))
	}
}

// accept counts a message and shows it on its device, unless it gets lost; it
// reports whether the device heard.
func (v *vendor) accept(r record) bool {
	v.counts.accepted.Add(1)
	_ = v.usedToday() // a new day begins with nothing
	v.used.Add(1)
	s := v.settings.Load()
	if s.Outage == Silent || happens(s.Loss) || v.script.next(true, func(m *Match) bool { return m.ofMessage(&r) }) != nil {
		v.counts.lost.Add(1)
		return false
	}
	v.counts.shown.Add(1)
	r.at = time.Now().UTC()
	if r.times = v.shelf.put(r); r.times > 1 {
		v.counts.replaced.Add(1)
	}
	v.hooks.show(v.name, &r)
	return true
}

// usedToday is how many messages were accepted since midnight UTC.
func (v *vendor) usedToday() int64 {
	if today := time.Now().Unix() / 86400; v.day.Swap(today) != today {
		v.used.Store(0)
	}
	return v.used.Load()
}

// since says when a token died.
func (v *vendor) since(token string) (time.Time, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, dead := v.dead[token]
	return t, dead
}

// kill declares a token dead; it reports false if there are too many.
func (v *vendor) kill(token string, since time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.dead[token]; !known && len(v.dead) >= maxDead {
		return false
	}
	v.dead[token] = since
	return true
}

func (v *vendor) revive(token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.dead, token)
}

func (v *vendor) reset() {
	_ = v.set(Settings{}) // the zero settings are valid
	v.script.set(nil)
	v.log.reset()
	v.used.Store(0)
	v.mu.Lock()
	clear(v.dead)
	v.mu.Unlock()
	v.shelf.reset()
	c := &v.counts
	for _, n := range []*atomic.Int64{
		&c.requests, &c.accepted, &c.shown, &c.replaced, &c.lost, &c.callbacks, &c.callbacksLost, &c.callbacksFailed,
	} {
		n.Store(0)
	}
	c.refused.Clear()
}

func (c *counts) snapshot() Counts {
	s := Counts{
		Requests: c.requests.Load(), Accepted: c.accepted.Load(), Refused: make(map[string]int64),
		Shown: c.shown.Load(), Replaced: c.replaced.Load(), Lost: c.lost.Load(),
		Callbacks: c.callbacks.Load(), CallbacksLost: c.callbacksLost.Load(), CallbacksFailed: c.callbacksFailed.Load(),
	}
	c.refused.Range(func(word, n any) bool {
		s.Refused[word.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return s
}

// hooks are those who want to know what devices show.
type hooks struct {
	mu   sync.Mutex
	next int
	by   map[int]func(Message)
	all  atomic.Pointer[[]func(Message)]
}

func (h *hooks) add(f func(Message)) (remove func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.next
	h.next++
	if h.by == nil {
		h.by = make(map[int]func(Message))
	}
	h.by[id] = f
	h.publish()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.by, id)
		h.publish()
	}
}

func (h *hooks) publish() {
	all := make([]func(Message), 0, len(h.by))
	for _, f := range h.by {
		all = append(all, f)
	}
	h.all.Store(&all)
}

func (h *hooks) show(vendor string, r *record) {
	all := h.all.Load()
	if all == nil || len(*all) == 0 {
		return
	}
	m := r.message(vendor)
	for _, f := range *all {
		f(m)
	}
}

// readBody reads at most limit bytes and one, so that more is noticed.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if n := r.ContentLength; n >= 0 && n <= limit {
		b := make([]byte, n)
		_, err := io.ReadFull(r.Body, b)
		return b, err
	}
	return io.ReadAll(io.LimitReader(r.Body, limit+1))
}
