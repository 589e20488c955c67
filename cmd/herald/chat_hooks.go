package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/webhooks"
)

// chatHooksConfig says how the apps' services are asked and told about chat.
type chatHooksConfig struct {
	// Within is how long an endpoint has to answer before a message is sent.
	// Default 1s.
	Within time.Duration `yaml:"within"`
	// FailClosed are the apps whose messages are refused when an endpoint that is
	// to be asked does not answer; "*" is all. In the others they are said. What an
	// app's own policy says comes before it.
	FailClosed []string `yaml:"fail_closed"`
}

// Validate reports every fault at once, each under the key that has it.
func (c chatHooksConfig) Validate() error {
	if c.Within < time.Millisecond || c.Within > 10*time.Second {
		return fmt.Errorf("im.hooks.within: %v is not from 1ms to 10s", c.Within)
	}
	return nil
}

// chatHooks asks an app's service before a message of its users is said, and
// tells it after.
type chatHooks struct {
	cfg   chatHooksConfig
	hooks *webhooks.Hooks
	apps  appReader
	log   *slog.Logger
}

// appReader knows what apps allow.
type appReader interface {
	App(ctx context.Context, id string) (push.App, error)
}

// refuses tells whether an app wants nothing said that nobody could look at. It is
// asked only when an endpoint did not answer.
func (h chatHooks) refuses(ctx context.Context, app string) bool {
	a, err := h.apps.App(ctx, app)
	if err != nil {
		h.log.WarnContext(ctx, "an app's policy cannot be read; the configuration decides", "app", app, "err", err)
	}
	switch a.Policy.Chat.Unscreened {
	case push.PassUnscreened:
		return false
	case push.RefuseUnscreened:
		return true
	default:
		return slices.Contains(h.cfg.FailClosed, app) || slices.Contains(h.cfg.FailClosed, "*")
	}
}

// verdict is what an endpoint answers to [push.EventChatBeforeSend]. Without a
// body it says nothing against the message.
type verdict struct {
	Refuse bool            `json:"refuse"`
	Detail string          `json:"detail"` // shown to whoever sent it
	Body   json.RawMessage `json:"body"`   // takes the place of the message's, if given
}

// chatEvent is what endpoints hear of a message.
type chatEvent struct {
	App     string          `json:"app"`
	To      string          `json:"to,omitempty"`
	Message *im.ChatMessage `json:"message"`
}

// Screen implements [logic.Screen].
func (h chatHooks) Screen(ctx context.Context, d *im.Draft) error {
	if !h.hooks.Wants(d.App, push.EventChatBeforeSend) {
		return nil
	}
	asked, cancel := context.WithTimeout(ctx, h.cfg.Within)
	defer cancel()
	answers, err := h.hooks.Ask(asked, push.Event{
		ID:  webhooks.EventID(d.App, push.EventChatBeforeSend, d.Sender+"/"+d.ClientID),
		App: d.App, Type: push.EventChatBeforeSend, At: time.Now(), Data: chatEvent{d.App, d.To, &d.ChatMessage},
	})
	for _, text := range answers {
		var v verdict
		if e := json.Unmarshal(text, &v); e != nil {
			err = errors.Join(err, fmt.Errorf("chat: an answer of app %s is no verdict: %w", d.App, e))
			continue
		}
		if v.Refuse {
			return &im.Refusal{Code: "screened", Field: "body", Detail: orElse(cut(v.Detail), "the app does not want this message")}
		}
		if len(v.Body) > 0 && string(v.Body) != "null" {
			d.Body = v.Body
		}
	}
	if err == nil {
		return nil
	}
	closed := h.refuses(ctx, d.App)
	h.log.WarnContext(ctx, "an app was not asked about a message", "app", d.App, "refused", closed, "err", err)
	if closed {
		return &im.Refusal{Code: "not_screened", Detail: "the app could not be asked about the message; say it again later"}
	}
	return nil
}

// cut bounds what an endpoint says to a user.
func cut(text string) string {
	const most = 200 // characters
	if r := []rune(text); len(r) > most {
		return string(r[:most])
	}
	return text
}

// Said implements [logic.Witness]. What cannot be told now is not told: the
// message itself is kept, and an app that must have all reads the history.
func (h chatHooks) Said(ctx context.Context, m *im.ChatMessage) {
	if !h.hooks.Wants(m.App, push.EventChatAfterSend) {
		return
	}
	err := h.hooks.Emit(ctx, push.Event{
		ID:  webhooks.EventID(m.App, push.EventChatAfterSend, m.MessageID()),
		App: m.App, Type: push.EventChatAfterSend, At: m.At, Data: chatEvent{App: m.App, Message: m},
	})
	if err != nil {
		h.log.WarnContext(ctx, "an app was not told of a message", "app", m.App, "message", m.MessageID(), "err", err)
	}
}
