package apns

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/sideshow/apns2"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// nobody is a device token that Apple has given to no device. Apple looks at
// who asks before it looks for whom, so its word against the token proves that
// the credentials are good.
var nobody = strings.Repeat("0", 64)

// Check implements [providers.Checker].
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	bearer, err := p.authorize(ctx)
	if err != nil {
		return "", err
	}
	var x providers.Exchange
	_, sendErr := p.production.client.PushWithContext(providers.WithExchange(ctx, &x), &apns2.Notification{
		DeviceToken: nobody, Topic: p.topic, PushType: apns2.PushTypeBackground, Priority: gentle, Expiration: nowOrNever,
		Payload: []byte(`{"aps":{"content-available":1}}`),
	})
	var answer struct {
		Reason string `json:"reason"`
	}
	switch {
	case !x.Answered():
		return "", x.Failure(name, sendErr)
	case x.Status == http.StatusOK, json.Unmarshal(x.Body, &answer) != nil, answer.Reason == "":
		return "", providers.Unexpected(name, &x)
	case answer.Reason == apns2.ReasonBadDeviceToken:
		return "it knows the " + p.auth() + ", and not the device that was made up", nil
	default:
		return "", p.refusal(&x, &environment{}, bearer, &push.Delivery{Notification: &push.Notification{}}, &options{})
	}
}

func (p *Provider) auth() string {
	if p.token == nil {
		return "certificate"
	}
	return "key"
}

// Ends implements [providers.Ender]: a certificate does.
func (p *Provider) Ends() time.Time { return p.ends }
