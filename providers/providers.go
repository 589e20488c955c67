// Package providers holds the contract between Herald and the services that
// carry a notification to a device, and the set of those a process has open.
// Each service lives in a folder of its own; none knows another.
package providers

import (
	"context"

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
