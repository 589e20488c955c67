// Package providers holds the contract between Herald and the services that
// carry a notification to a device, and the set of those a process has open.
// Each service lives in a folder of its own; none knows another.
package providers

import (
	"context"
	"strings"

	"github.com/herald-push/herald/push"
)

// Provider hands deliveries to one push service for one app.
//
// Implementations are safe for concurrent use. They are checked by
// providertest.Run.
type Provider interface {
	// Send makes exactly one attempt. It never retries: the scheduler owns the
	// clock.
	//
	// A failure is always a *push.Error whose Kind says what to do next. Send
	// returns promptly once ctx is done; if the request may have reached the
	// service by then the kind is [push.ErrUnknown].
	Send(ctx context.Context, d *push.Delivery) (push.Answer, error)

	// Weigh returns the payload's size with this service without sending. Its
	// error is the *push.Error (kind [push.ErrRejected]) that Send would give
	// for a message that can never fit or is not allowed.
	Weigh(d *push.Delivery) (push.Payload, error)
}

// Batcher is a provider whose service takes a notification for many devices in
// one request.
type Batcher interface {
	Provider

	// Batch is how many devices of a notification fit into one request now. It
	// is 1 for a notification that has to go to each device by itself.
	Batch(n *push.Notification) int

	// SendBatch makes exactly one attempt for deliveries of one chunk, at most
	// as many as Batch said, and returns a reply to each in their order. Send's
	// promises hold for it too: of a request without an answer every delivery is
	// [push.ErrUnknown], and one that the service refuses alone takes no other
	// with it.
	//
	// What goes out is the same for all, so it carries the chunk's id
	// ([push.CommonID]) unless the service has room for each delivery's own.
	SendBatch(ctx context.Context, ds []*push.Delivery) []push.Reply
}

// Alone sends one delivery as a batch of one, for a Batcher that has one way of
// sending.
func Alone(ctx context.Context, b Batcher, d *push.Delivery) (push.Answer, error) {
	reply := b.SendBatch(ctx, []*push.Delivery{d})[0]
	return reply.Answer, reply.Err
}

// Each gives the same reply to n deliveries.
func Each(n int, a push.Answer, err error) []push.Reply {
	replies := make([]push.Reply, n)
	for i := range replies {
		replies[i] = push.Reply{Answer: a, Err: err}
	}
	return replies
}

// NeedsToken is the usual fault of [Addressed]: a device without an address, which
// the service calls by the word what, is no failure of anybody's.
func NeedsToken(provider, what string) func(token string) *push.Error {
	return func(token string) *push.Error {
		if token != "" {
			return nil
		}
		return &push.Error{Provider: provider, Kind: push.ErrUnreachable, Detail: "the device has no " + what}
	}
}

// NeedsListedToken is NeedsToken where a request lists tokens with commas between:
// one with a comma would be a list, and so other people's devices.
func NeedsListedToken(provider, what string) func(token string) *push.Error {
	needs := NeedsToken(provider, what)
	return func(token string) *push.Error {
		if strings.Contains(token, ",") {
			return &push.Error{Provider: provider, Kind: push.ErrUnregistered, Detail: "that is no " + what}
		}
		return needs(token)
	}
}

// Addressed has those of the deliveries sent that have an address a service can
// take, and gives the others their fault. Their tokens are told in the same order.
func Addressed(ds []*push.Delivery, fault func(token string) *push.Error, send func(ds []*push.Delivery, tokens []string) []push.Reply) []push.Reply {
	replies := make([]push.Reply, len(ds))
	good := make([]*push.Delivery, 0, len(ds))
	tokens := make([]string, 0, len(ds))
	places := make([]int, 0, len(ds))
	for i, d := range ds {
		if e := fault(d.Address.Token); e != nil {
			replies[i].Err = e
			continue
		}
		good, tokens, places = append(good, d), append(tokens, d.Address.Token), append(places, i)
	}
	if len(good) == 0 {
		return replies
	}
	for k, reply := range send(good, tokens) {
		replies[places[k]] = reply
	}
	return replies
}

// Opener makes a provider from an app's credentials for it: the JSON object of
// PUT /v1/apps/{app}/providers/{provider}. Faults in them are a *push.Invalid
// that names each field and never repeats a secret.
type Opener func(credentials []byte) (Provider, error)

// Reporter is a provider whose service reports over the connection that
// messages go out by, and not in a request of its own as for a [Callbacker].
type Reporter interface {
	// Reports says whom to give receipts to; it is called once, before the
	// first Send. An error of report means that the receipts were not kept: the
	// provider has its service bring them again where the protocol can.
	Reports(report func(context.Context, []push.Receipt) error)
}
