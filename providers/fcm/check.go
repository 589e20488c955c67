package fcm

import (
	"context"

	"firebase.google.com/go/v4/messaging"

	"github.com/herald-push/herald/providers"
)

// Check implements [providers.Checker]: Google validates a message to a topic
// that nobody has, and sends nothing.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return "", err
	}
	a := &attempt{token: token}
	x := &a.exchange
	_, sendErr := p.client.SendDryRun(a.in(ctx), &messaging.Message{Topic: "herald-doctor", Data: map[string]string{"herald": "doctor"}})
	switch {
	case !x.Answered():
		return "", x.Failure(name, sendErr)
	case x.Status/100 == 2 && sendErr == nil:
		return "it validates a message for the project", nil
	case x.Status/100 == 2:
		return "", providers.Unexpected(name, x)
	default:
		return "", p.refusal(a)
	}
}
