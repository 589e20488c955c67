package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/push"
)

// maxEventID bounds an event's id: a notification's is made of it.
const maxEventID = 128

// Seen keeps the events that businesses reported, so that none counts twice and
// each can be played again.
type Seen interface {
	// PutInbound writes e unless its id is there; before is what was there.
	PutInbound(ctx context.Context, e *InboundEvent) (before *InboundEvent, err error)
	// SetInbound notes what became of an event.
	SetInbound(ctx context.Context, e *InboundEvent) error
	// InboundEvent is one of them; [push.ErrNotFound].
	InboundEvent(ctx context.Context, app, service, event, id string) (*InboundEvent, error)
	// InboundEvents are the newest of a service.
	InboundEvents(ctx context.Context, app, service string, limit int) ([]*InboundEvent, error)
}

// InboundEvent is something that a business reported.
type InboundEvent struct {
	App        string          `json:"-"`
	Service    string          `json:"service"`
	Event      string          `json:"event"`
	ID         string          `json:"id"`
	Digest     string          `json:"-"` // of the body
	Body       json.RawMessage `json:"body"`
	State      string          `json:"state"` // received, done or failed
	Detail     string          `json:"detail,omitempty"`
	Replays    int             `json:"replays"`
	ReceivedAt time.Time       `json:"received_at"`
}

// The states of an event.
const (
	EventReceived = "received"
	EventDone     = "done"
	EventFailed   = "failed"
)

// Outcome is what an event is mapped to. Either may be nil.
type Outcome struct {
	Notification json.RawMessage `json:"notification,omitempty"`
	Message      json.RawMessage `json:"message,omitempty"`
}

// Deliver sends what an event was mapped to, under an id that is the same each
// time it is tried.
type Deliver func(ctx context.Context, app, id string, o Outcome) error

type inbound struct {
	declared            Inbound
	id, notify, message *program
	schema              *schema
	secret              secret
}

func (c *compiler) inbound(field, _ string, in Inbound) *inbound {
	out := &inbound{
		declared: in,
		id:       c.program(field+".id", in.ID),
		notify:   c.program(field+".notify", in.Notify),
		message:  c.program(field+".message", in.Message),
		schema:   c.schema(field+".schema", in.Schema),
		secret:   c.secret(field+".verify.secret", in.Verify.Secret),
	}
	switch in.Verify.Type {
	case "standard_webhooks":
	case "hmac":
		c.signing(field+".verify.signing", in.Verify.Signing)
		if p := orElse(in.Verify.Signing.Payload, "{timestamp}.{body}"); !strings.Contains(p, "{timestamp}") || !strings.Contains(p, "{body}") {
			c.faults.Add(field+".verify.signing.payload", "must sign {timestamp} and {body}, or an old event could be sent again")
		}
		if in.ID == "" {
			c.faults.Add(field+".id", "is needed: jq that finds the event's id")
		}
	default:
		c.faults.Add(field+".verify.type", "must be standard_webhooks or hmac")
	}
	c.within(field+".verify.tolerance_seconds", in.Verify.ToleranceSeconds, 1, 3600, 300)
	if in.Notify == "" && in.Message == "" {
		c.faults.Add(field+".notify", "is needed, or message: what becomes of the event")
	}
	return out
}

// Receive takes an event that a business reports: it checks whose it is and how
// old, keeps it, maps it and delivers what it means. An event that came before
// is done with. app may be "" where one app alone has the service.
func (g *Gateway) Receive(ctx context.Context, app, service, event string, h http.Header, body []byte, deliver Deliver) (duplicate bool, err error) {
	s, err := g.receiver(app, service)
	if err != nil {
		return false, err
	}
	in := s.inbound[event]
	if in == nil {
		return false, fail(CodeUnknownEvent, "this service has no such event", nil)
	}
	now := g.parts.Now()
	if err := in.verify(ctx, h, body, now); err != nil {
		return false, err
	}
	v, err := decode(body)
	if err != nil {
		return false, fail(CodeInvalidInput, "the event is not JSON", err)
	}
	if faults := in.schema.check(v); faults != nil {
		e := fail(CodeInvalidInput, "the event is not what was agreed on", nil)
		e.Faults = faults
		return false, e
	}
	id, err := in.eventID(ctx, h, v)
	if err != nil {
		return false, err
	}
	digest := sha256.Sum256(body)
	e := &InboundEvent{
		App: s.declaration.App, Service: service, Event: event, ID: id, Digest: hex.EncodeToString(digest[:]),
		Body: body, State: EventReceived, ReceivedAt: now.UTC(),
	}
	before, err := g.parts.Seen.PutInbound(ctx, e)
	switch {
	case err != nil:
		return false, fmt.Errorf("gateway: keep event: %w", err)
	case before != nil && before.Digest != e.Digest:
		return false, fail(CodeReplayed, "another event came with this id", nil)
	case before != nil && before.State == EventDone:
		return true, nil
	}
	return false, g.deliver(ctx, in, e, v, deliver)
}

// receiver finds the service that an event is for.
func (g *Gateway) receiver(app, name string) (*service, error) {
	all := g.catalog.Load().services
	if app != "" {
		if s := all[app][name]; s != nil {
			return s, nil
		}
		return nil, fail(CodeUnknownService, "there is no such service", nil)
	}
	var found []*service
	for _, services := range all {
		if s := services[name]; s != nil {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fail(CodeUnknownService, "there is no such service", nil)
	default:
		return nil, fail(CodeUnknownService, "several apps have this service: say which, ?app=", nil)
	}
}

// deliver maps an event, sends what it means, and notes what became of it.
func (g *Gateway) deliver(ctx context.Context, in *inbound, e *InboundEvent, body any, deliver Deliver) error {
	o, err := in.mapped(ctx, body)
	if err == nil {
		err = deliver(ctx, e.App, e.deliveryID(), o)
	}
	if errors.Is(err, push.ErrAway) || ctx.Err() != nil {
		return err // it is tried again when it comes again
	}
	e.State, e.Detail = EventDone, ""
	if err != nil {
		e.State, e.Detail = EventFailed, err.Error()
	}
	if noted := g.parts.Seen.SetInbound(ctx, e); noted != nil {
		return errors.Join(err, fmt.Errorf("gateway: note event: %w", noted))
	}
	if invalid := (*push.Invalid)(nil); errors.As(err, &invalid) {
		refused := fail(CodeNotDelivered, "what the mapping made of the event is refused", err)
		refused.Faults = invalid.Faults
		return refused
	}
	return err
}

// deliveryID is the same for every try, and another for every replay.
func (e *InboundEvent) deliveryID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", e.Service, e.Event, e.ID, e.Replays))
	return "in-" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

func (in *inbound) mapped(ctx context.Context, body any) (o Outcome, err error) {
	run := func(p *program) (json.RawMessage, error) {
		if p == nil {
			return nil, nil
		}
		v, err := p.run(ctx, body, scope{input: body})
		if err != nil || v == nil {
			return nil, err
		}
		return encode(v)
	}
	if o.Notification, err = run(in.notify); err != nil {
		return o, err
	}
	o.Message, err = run(in.message)
	return o, err
}

// Replay maps an event that was kept once more, by the declaration in force,
// and sends what it means now.
func (g *Gateway) Replay(ctx context.Context, app, service, event, id string, deliver Deliver) error {
	s := g.catalog.Load().service(app, service)
	if s == nil || s.inbound[event] == nil {
		return fail(CodeUnknownEvent, "this service has no such event", nil)
	}
	e, err := g.parts.Seen.InboundEvent(ctx, app, service, event, id)
	if err != nil {
		return err
	}
	if e.State == EventDone {
		e.Replays++
	}
	v, err := decode(e.Body)
	if err != nil {
		return fmt.Errorf("gateway: kept event: %w", err)
	}
	return g.deliver(ctx, s.inbound[event], e, v, deliver)
}

// TryEvent maps an event and sends nothing.
func (g *Gateway) TryEvent(ctx context.Context, d Declaration, event string, body []byte) (Outcome, error) {
	s, err := compile(d, g.Rules())
	if err != nil {
		return Outcome{}, err
	}
	in := s.inbound[event]
	if in == nil {
		return Outcome{}, fail(CodeUnknownEvent, "this service has no such event", nil)
	}
	v, err := decode(body)
	if err != nil {
		return Outcome{}, fail(CodeInvalidInput, "the event is not JSON", err)
	}
	return in.mapped(ctx, v)
}

// Events are the newest events of a service.
func (g *Gateway) Events(ctx context.Context, app, service string) ([]*InboundEvent, error) {
	return g.parts.Seen.InboundEvents(ctx, app, service, 50)
}

func (in *inbound) eventID(ctx context.Context, h http.Header, body any) (string, error) {
	id := h.Get("Webhook-Id")
	if in.id != nil {
		headers := map[string]any{}
		for name, values := range h {
			headers[strings.ToLower(name)] = values[0]
		}
		v, err := in.id.run(ctx, map[string]any{"body": body, "headers": headers}, scope{input: body})
		if err != nil {
			return "", err
		}
		id, _ = scalar(v)
	}
	if id == "" || len(id) > maxEventID {
		return "", fail(CodeNoEventID, fmt.Sprintf("the event needs an id of at most %d bytes", maxEventID), nil)
	}
	return id, nil
}

// verify checks that an event is the business's, and neither old nor from the
// future.
func (in *inbound) verify(ctx context.Context, h http.Header, body []byte, now time.Time) error {
	d := in.declared.Verify
	key, err := in.secret(ctx)
	if err != nil {
		return fail(CodeSignature, "the signature cannot be checked: the secret is not there", err)
	}
	stampHeader := orElse(d.Signing.TimestampHeader, "X-Timestamp")
	if d.Type == "standard_webhooks" {
		stampHeader = "Webhook-Timestamp"
	}
	stamp := h.Get(stampHeader)
	var good bool
	if d.Type == "standard_webhooks" {
		good = standardSignature(key, h, stamp, body)
	} else {
		good = d.hmacSignature(key, h, stamp, body)
	}
	if !good {
		return fail(CodeSignature, "the signature does not hold", nil)
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fail(CodeStale, stampHeader+" must be seconds since 1970", nil)
	}
	tolerance := time.Duration(d.ToleranceSeconds) * time.Second
	if tolerance == 0 {
		tolerance = 5 * time.Minute
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return fail(CodeStale, fmt.Sprintf("the event is %v old; at most %v are allowed, and it may not be from the future", age.Round(time.Second), tolerance), nil)
	}
	return nil
}

// standardSignature is that of Standard Webhooks 1.0, section "signature scheme":
// one of several, base64 of HMAC-SHA-256 over "id.timestamp.body".
func standardSignature(key []byte, h http.Header, stamp string, body []byte) bool {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(key), "whsec_"))
	if err != nil {
		return false
	}
	want := Signing{Payload: "{id}.{timestamp}.{body}"}.mac(raw, map[string]string{"id": h.Get("Webhook-Id"), "timestamp": stamp, "body": string(body)})
	return slices.ContainsFunc(strings.Fields(h.Get("Webhook-Signature")), func(one string) bool {
		got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "v1,"))
		return err == nil && strings.HasPrefix(one, "v1,") && hmac.Equal(got, want)
	})
}

func (v Verify) hmacSignature(key []byte, h http.Header, stamp string, body []byte) bool {
	want := v.Prefix + v.Signing.sum(key, map[string]string{
		"timestamp": stamp, "body": string(body), "id": h.Get("Webhook-Id"), "nonce": h.Get(orElse(v.Signing.NonceHeader, "X-Nonce")),
	})
	return hmac.Equal([]byte(h.Get(orElse(v.Header, "X-Signature"))), []byte(want))
}

// Message is a system message as mappings make it: to a user, or into a
// conversation.
type Message struct {
	To           string          `json:"to"`
	Conversation string          `json:"conversation"`
	Text         string          `json:"text"` // or kind and body
	Kind         string          `json:"kind"`
	Body         json.RawMessage `json:"body"`
}

// ParseMessage reads what an event's mapping made for people who talk. Faults
// are a *push.Invalid.
func ParseMessage(raw []byte) (Message, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return Message{}, &push.Invalid{Faults: []push.Fault{{Field: "message", Detail: "must be an object"}}}
	}
	m, faults := strictjson.New[Message]().Read(raw)
	if (m.To == "") == (m.Conversation == "") {
		faults.Add("to", "is needed, or conversation, and not both")
	}
	if (m.Text == "") == (m.Kind == "") {
		faults.Add("text", "is needed, or kind and body, and not both")
	}
	if m.Text != "" {
		m.Kind = "text"
		m.Body, _ = json.Marshal(map[string]string{"text": m.Text}) // a map of strings
	}
	return m, faults.Err()
}
