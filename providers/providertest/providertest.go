// Package providertest is the contract of providers.Provider, executable. Each
// provider's first test is a call of [Run]; one whose service speaks HTTP gets
// its harness from [HTTP].
package providertest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Behaviour is what the fake of a service does with every attempt.
type Behaviour string

// The behaviours every harness is asked for; the names of its own refusals are
// the others. A harness answers a zero [Fixture] for what its service cannot do.
const (
	Accepts        Behaviour = "accepts"
	Hangs          Behaviour = "reads the request and never answers"
	Cuts           Behaviour = "reads the request and cuts the connection"
	AnswersHTML    Behaviour = "answers 502 with a page of HTML that repeats what it was sent"
	AcceptsHTML    Behaviour = "answers 200 with a page of HTML"
	RefusesToTalk  Behaviour = "refuses the connection"
	HangsAtHello   Behaviour = "takes the connection and says nothing"
	BadCertificate Behaviour = "shows a certificate that nobody signed"
)

// Harness stands a provider before a fake of its service.
type Harness struct {
	// Name is the provider's registry name.
	Name string
	// Start starts a fake that behaves as told and a provider that talks to it.
	// Both end with the test.
	Start func(t *testing.T, b Behaviour) Fixture
	// Delivery makes a delivery that the service would take.
	Delivery func(id string) *push.Delivery
	// Refusals are the fake's other behaviours, and the kind each must become.
	Refusals map[Behaviour]error
	// TooLarge is a delivery over the service's limit; nil if it has no limit.
	TooLarge *push.Delivery
	// Secrets are texts of the credentials that must never be in an error.
	Secrets []string
}

// Fixture is a provider with its fake.
type Fixture struct {
	Provider providers.Provider
	// Attempts counts the attempts that have reached the fake.
	Attempts func() int
}

// prompt is how long after its deadline Send may return. It is generous because
// test machines are busy, and far below any client's own timeout.
const prompt = 2 * time.Second

// Run checks a provider against the contract.
func Run(t *testing.T, h Harness) {
	t.Run("an accepted message is one attempt", h.accepted)
	t.Run("a refusal is one attempt and has its kind", h.refused)
	t.Run("what is not an answer is sorted by whether it may have been sent", h.broken)
	t.Run("the deadline is honoured", h.deadline)
	t.Run("one sender does not wait for another's deadline", h.independent)
	t.Run("nothing is sent once the context is done", h.done)
	t.Run("many send at once", h.concurrent)
	t.Run("weigh agrees with send", h.weigh)
	t.Run("several deliveries are one attempt, each with its own reply", h.together)
}

func (h Harness) start(t *testing.T, b Behaviour) Fixture {
	t.Helper()
	f := h.Start(t, b)
	if f.Provider == nil {
		t.Skipf("a service of this sort never %s", b)
	}
	return f
}

// together checks a [providers.Batcher]. The fake takes what it is sent, whatever
// that is, or breaks in a way that befalls all.
func (h Harness) together(t *testing.T) {
	const n = 5
	tests := map[Behaviour]error{
		Accepts: nil, Cuts: push.ErrUnknown, AnswersHTML: push.ErrUnavailable, RefusesToTalk: push.ErrUnavailable,
	}
	for b, kind := range tests {
		t.Run(string(b), func(t *testing.T) {
			f := h.start(t, b)
			p, ok := f.Provider.(providers.Batcher)
			if !ok {
				t.Skip("the service takes one device at a time")
			}
			shared := h.Delivery("n1.0.0").Notification
			if most := p.Batch(shared); most < n {
				t.Skipf("the service takes %d of this notification together", most)
			}
			ds := make([]*push.Delivery, n)
			for i := range ds {
				ds[i] = h.Delivery(push.DeliveryID("n1", 0, i))
				ds[i].Notification = shared
				if i > 0 {
					ds[i].Address.Token += strconv.Itoa(i)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			replies := p.SendBatch(ctx, ds)
			if len(replies) != n {
				t.Fatalf("SendBatch() has %d replies to %d deliveries", len(replies), n)
			}
			for i, reply := range replies {
				switch {
				case kind != nil:
					h.fails(t, reply.Err, ds[i], kind)
				case reply.Err != nil || reply.Answer.Stage != push.Accepted:
					t.Errorf("delivery %d: %+v, want it accepted", i, reply)
				}
			}
			if want := 1; b != RefusesToTalk {
				h.attempts(t, f, want)
			}
			ds[1].Address.Token = ""
			if b == Accepts {
				replies = p.SendBatch(ctx, ds)
				h.fails(t, replies[1].Err, ds[1], push.ErrUnreachable)
				if replies[0].Err != nil || replies[2].Err != nil {
					t.Errorf("a delivery without an address took others with it: %+v", replies)
				}
			}
		})
	}
}

// fails checks that an error is what the contract says and tells no secret.
func (h Harness) fails(t *testing.T, err error, d *push.Delivery, kinds ...error) {
	t.Helper()
	var e *push.Error
	if !errors.As(err, &e) {
		t.Fatalf("Send() error = %v (%T), want a *push.Error", err, err)
	}
	if e.Provider != h.Name {
		t.Errorf("Error.Provider = %q, want %q", e.Provider, h.Name)
	}
	ok := false
	for _, kind := range kinds {
		ok = ok || errors.Is(err, kind)
	}
	if !ok {
		t.Errorf("Send() error = %v, want a kind of %v", err, kinds)
	}
	for _, secret := range append([]string{d.Address.Token}, h.Secrets...) {
		if secret != "" && strings.Contains(err.Error()+e.Detail+e.Code, secret) {
			t.Errorf("Send() error tells a secret: %.300v", err)
		}
	}
}

func (h Harness) attempts(t *testing.T, f Fixture, want int) {
	t.Helper()
	if got := f.Attempts(); got != want {
		t.Errorf("%d attempts reached the service, want %d", got, want)
	}
}

func (h Harness) accepted(t *testing.T) {
	f := h.start(t, Accepts)
	d := h.Delivery("n1.0.0")
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatalf("Send() error = %v", err)
	}
	if answer.Stage != push.Accepted && answer.Stage != push.HandedOver {
		t.Errorf("Answer.Stage = %q, want accepted or handed_over", answer.Stage)
	}
	h.attempts(t, f, 1)
}

func (h Harness) refused(t *testing.T) {
	for b, kind := range h.Refusals {
		t.Run(string(b), func(t *testing.T) {
			f := h.start(t, b)
			d := h.Delivery("n1.0.0")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			begin := time.Now()
			_, err := f.Provider.Send(ctx, d)
			h.fails(t, err, d, kind)
			h.attempts(t, f, 1)
			if took := time.Since(begin); took > prompt {
				t.Errorf("Send() took %v: it waits to try again", took)
			}
		})
	}
}

func (h Harness) broken(t *testing.T) {
	tests := map[Behaviour]struct {
		attempts int
		kinds    []error
	}{
		Cuts:           {1, []error{push.ErrUnknown}},
		AnswersHTML:    {1, []error{push.ErrUnavailable}},
		AcceptsHTML:    {1, []error{push.ErrUnknown, push.ErrUnavailable}},
		RefusesToTalk:  {0, []error{push.ErrUnavailable}},
		BadCertificate: {0, []error{push.ErrUnavailable}},
	}
	for b, tt := range tests {
		t.Run(string(b), func(t *testing.T) {
			f := h.start(t, b)
			d := h.Delivery("n1.0.0")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := f.Provider.Send(ctx, d)
			h.fails(t, err, d, tt.kinds...)
			h.attempts(t, f, tt.attempts)
		})
	}
}

func (h Harness) deadline(t *testing.T) {
	for b, kind := range map[Behaviour]error{Hangs: push.ErrUnknown, HangsAtHello: push.ErrUnavailable} {
		t.Run(string(b), func(t *testing.T) {
			f := h.start(t, b)
			d := h.Delivery("n1.0.0")
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begin := time.Now()
			_, err := f.Provider.Send(ctx, d)
			if took := time.Since(begin); took > prompt {
				t.Errorf("Send() took %v with a deadline of 300 ms", took)
			}
			h.fails(t, err, d, kind)
			if b == Hangs {
				h.attempts(t, f, 1)
			}
		})
	}
}

func (h Harness) independent(t *testing.T) {
	f := h.start(t, HangsAtHello)
	patient, cancelPatient := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = f.Provider.Send(patient, h.Delivery("n1.0.0")) })

	d := h.Delivery("n1.0.1")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := f.Provider.Send(ctx, d)
	if took := time.Since(begin); took > prompt {
		t.Errorf("Send() took %v with a deadline of 200 ms, behind a patient one", took)
	}
	h.fails(t, err, d, push.ErrUnavailable)
	cancelPatient()
	wg.Wait()
}

func (h Harness) done(t *testing.T) {
	f := h.start(t, Accepts)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := h.Delivery("n1.0.0")
	_, err := f.Provider.Send(ctx, d)
	h.fails(t, err, d, push.ErrUnavailable, push.ErrUnknown)
	h.attempts(t, f, 0)
}

func (h Harness) concurrent(t *testing.T) {
	f := h.start(t, Accepts)
	const senders, each = 16, 8
	var wg sync.WaitGroup
	shared := h.Delivery("n1.0.0").Notification
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				d := h.Delivery(push.DeliveryID("n1", s, i))
				if i%2 == 0 {
					d.Notification = shared
				}
				if _, err := f.Provider.Send(t.Context(), d); err != nil {
					t.Errorf("Send() error = %v", err)
				}
			}
		})
	}
	wg.Wait()
	h.attempts(t, f, senders*each)
}

func (h Harness) weigh(t *testing.T) {
	f := h.start(t, Accepts)
	d := h.Delivery("n1.0.0")
	w, err := f.Provider.Weigh(d)
	if err != nil {
		t.Fatalf("Weigh() error = %v", err)
	}
	answer, err := f.Provider.Send(t.Context(), d)
	if err != nil {
		t.Fatalf("Send() error = %v", err)
	}
	if answer.Bytes != w.Bytes {
		t.Errorf("Send() counted %d bytes, Weigh() %d", answer.Bytes, w.Bytes)
	}
	if h.TooLarge == nil {
		return
	}
	before := f.Attempts()
	_, weighErr := f.Provider.Weigh(h.TooLarge)
	_, sendErr := f.Provider.Send(t.Context(), h.TooLarge)
	h.fails(t, sendErr, h.TooLarge, push.ErrRejected)
	if weighErr == nil || weighErr.Error() != sendErr.Error() {
		t.Errorf("Weigh() error = %v, Send() error = %v, want the same", weighErr, sendErr)
	}
	h.attempts(t, f, before)
}
