package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/push"
)

// jobsDeclared is a service that answers from examples, so that no business is
// needed to see what the door makes of it.
const jobsDeclared = `{
	"title": "Jobs",
	"backends": {},
	"versions": {
		"1": {"deprecated": "2026-01-01", "sunset": "2027-01-01", "operations": {"search": {
			"input": {"type": "object", "required": ["q"]},
			"adapt": {"version": "2", "input": "{text: .q}", "output": "[.jobs[].title]"}}}},
		"2": {"operations": {"search": {
			"input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
			"mock": true,
			"examples": [{"input": {"text": "cook"}, "output": {"jobs": [{"title": "Cook"}]}}]}}}
	},
	"inbound": {"viewed": {"verify": {"type": "standard_webhooks", "secret": "partner"},
		"notify": "{to: {user: .user}, class: \"transactional\", title: \"Seen\", body: .job}"}}
}`

// businessWorld is a gateway with one service.
func businessWorld() *gateway.Gateway {
	g := gateway.New(gateway.DefaultConfig(), gateway.Parts{Services: declared{}, Seen: nothingSeen{}})
	if err := g.Load(context.Background()); err != nil {
		panic(err)
	}
	return g
}

type declared struct{}

func (declared) GatewayServices(context.Context) ([]gateway.Kept, error) {
	return []gateway.Kept{{App: "demo", Service: "jobs", Declaration: json.RawMessage(strings.Replace(jobsDeclared, "{", `{"service": "jobs",`, 1)), Revision: 1}}, nil
}

type nothingSeen struct{}

func (nothingSeen) PutInbound(context.Context, *gateway.InboundEvent) (*gateway.InboundEvent, error) {
	return nil, nil
}
func (nothingSeen) SetInbound(context.Context, *gateway.InboundEvent) error { return nil }
func (nothingSeen) InboundEvent(context.Context, string, string, string, string) (*gateway.InboundEvent, error) {
	return nil, push.ErrNotFound
}
func (nothingSeen) InboundEvents(context.Context, string, string, int) ([]*gateway.InboundEvent, error) {
	return nil, nil
}

// businesses keeps nothing but what the API says when it does.
type businesses struct{}

func (*businesses) PutService(context.Context, string, string, []byte, string) (int64, error) {
	return 1, nil
}
func (*businesses) DeleteService(context.Context, string, string) error     { return nil }
func (*businesses) PutSecret(context.Context, string, string, []byte) error { return nil }
func (*businesses) SecretNames(context.Context, string) ([]string, error) {
	return []string{"partner"}, nil
}
func (*businesses) DeleteSecret(context.Context, string, string) error { return nil }

func TestAnEndingVersionSaysSoInItsHead(t *testing.T) {
	got := open(t).ask("POST", "/v1/services/jobs/search", deviceToken, `{"version":1,"input":{"q":"cook"}}`)
	if got.status != http.StatusOK {
		t.Fatalf("status = %d: %s", got.status, got.raw)
	}
	if d, s := got.header.Get("Deprecation"), got.header.Get("Sunset"); d != "@1767225600" || s != "Fri, 01 Jan 2027 00:00:00 GMT" {
		t.Errorf("Deprecation: %s, Sunset: %s", d, s)
	}
}

func TestOnlyDevicesAndSendersCallBusinesses(t *testing.T) {
	for name, tt := range map[string]struct {
		auth string
		want int
	}{
		"a device":       {deviceToken, 200},
		"a sender's key": {sendKey, 200},
		"nobody":         {"", 401},
		"another app":    {otherKey, 404},
	} {
		if got := open(t).ask("POST", "/v1/services/jobs/search", tt.auth, `{"version":2,"input":{"text":"cook"}}`); got.status != tt.want {
			t.Errorf("%s: status = %d, want %d: %s", name, got.status, tt.want, got.raw)
		}
	}
}
