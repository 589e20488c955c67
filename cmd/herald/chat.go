package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/link"
	"github.com/herald-push/herald/im/logic"
	"github.com/herald-push/herald/push"
)

// chatConfig is the section "im" of the configuration.
type chatConfig struct {
	// Database is where conversations are kept. Default: the database of the
	// rest, or for SQLite a file beside it, so that neither waits for the other.
	Database string       `yaml:"database"`
	Chat     logic.Config `yaml:"chat"`
	Data     data.Config  `yaml:"data"`
	Link     link.Config  `yaml:"link"`
	// Hooks are the questions to the apps' services before a message is said.
	Hooks chatHooksConfig `yaml:"hooks"`
}

// Validate reports every fault at once, each under the key that has it.
func (c chatConfig) Validate() error {
	return errors.Join(c.Chat.Validate(), c.Data.Validate(), c.Link.Validate(), c.Hooks.Validate())
}

// url is the database of the conversations.
func (c chatConfig) url(rest string) string {
	if c.Database != "" {
		return c.Database
	}
	if path, ok := strings.CutSuffix(rest, ".db"); ok {
		return path + "-im.db"
	}
	if strings.HasPrefix(rest, "sqlite:") || strings.HasPrefix(rest, "file:") {
		return rest + "-im"
	}
	return rest
}

// wireChat opens the two upper floors of messaging, logic over data, in
// processes that need them: those that serve the API, which speaks for business
// services, and those of the role im. Connections of such a process are led
// there in memory, those of others over the link.
func (h *house) wireChat(ctx context.Context) error {
	if !h.cfg.does(roleAPI) && !h.cfg.does(roleIM) {
		return h.wireRemoteChat()
	}
	screen := chatHooks{h.cfg.IM.Hooks, h.hooks, h.store, h.log}
	kept, err := data.Open(ctx, h.cfg.IM.url(h.cfg.Database.URL), h.cfg.IM.Data, h.log)
	if err != nil {
		return err
	}
	h.chatData = kept
	h.chat = logic.New(h.cfg.IM.Chat, logic.Parts{
		Messages: kept, Conversations: kept, Members: kept, Cursors: kept, Rings: kept, Friends: kept,
		Live: people{h}, Bell: bell{h}, Screen: screen, Witness: screen, Log: h.log,
	})
	h.acked = h.chat.Acked
	if h.access != nil {
		h.access.Talk(talk{h})
	}
	if !h.cfg.does(roleIM) || h.cfg.IM.Link.Listen == "" {
		return nil
	}
	secret, err := h.cfg.Sealing.text()
	if err != nil {
		return err
	}
	h.linkServer, err = link.Open(ctx, h.cfg.IM.Link, []byte(strings.TrimSpace(secret)), talk{h}, h.nodes, h.log)
	return err
}

// wireRemoteChat leads what devices of this process say to the processes of the
// role im.
func (h *house) wireRemoteChat() error {
	if h.access == nil {
		return nil
	}
	secret, err := h.cfg.Sealing.text()
	if err != nil {
		return err
	}
	if h.linkClient, err = link.NewClient(h.cfg.IM.Link, []byte(strings.TrimSpace(secret)), h.nodes, h.log); err != nil {
		return err
	}
	h.acked = h.linkClient.Acked
	h.access.Talk(remoteTalk{h})
	return nil
}

// remoteTalk is what devices say where the logic floor is elsewhere.
type remoteTalk struct{ house *house }

// User implements [access.Chat].
func (t remoteTalk) User(ctx context.Context, app, device string) (string, error) {
	return t.house.devices.Owner(ctx, app, device)
}

// Say implements [access.Chat].
func (t remoteTalk) Say(ctx context.Context, who im.Session, payload []byte) (bool, error) {
	return t.house.linkClient.Say(ctx, who, payload)
}

// chatDoor is what the API has of messaging.
func (h *house) chatDoor() api.Chat { return api.Chat{Talk: h.chat, Groups: h.chat, People: h.chat} }

// people reaches the connected devices of users.
type people struct{ house *house }

// Hand implements [logic.Live].
func (p people) Hand(ctx context.Context, app string, users []string, frame im.Message, missed func([]string)) error {
	return p.house.router.Spread(ctx, app, users, frame, missed)
}

// Online implements [logic.Live].
func (p people) Online(ctx context.Context, app string, users []string) ([]bool, error) {
	return p.house.router.OnlineUsers(ctx, app, users)
}

// bell has the scheduler tell a user that there is something to read, by any
// road but the live connection, on which the message itself went out.
type bell struct{ house *house }

// ringLife is how long it is worth telling.
const ringLife = 24 * time.Hour

// Ring implements [logic.Bell]. The notification's id is made of what it rings
// for, so that a second one is none.
func (b bell) Ring(ctx context.Context, r im.Ring, last *im.ChatMessage, c *im.Conversation) error {
	now := time.Now().UTC()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", r.Conversation, r.User, r.Seq))
	title := c.Title
	if title == "" {
		title = last.Sender
	}
	n := &push.Notification{
		App: r.App, ID: "im-" + base64.RawURLEncoding.EncodeToString(sum[:18]), To: push.Audience{User: r.User}, Class: push.Chat,
		Title: orElse(title, "Message"), Body: preview(last),
		Data: map[string]string{
			"conversation": r.Conversation, "seq": fmt.Sprint(r.Seq), "unread": fmt.Sprint(r.Unread), "badge": fmt.Sprint(r.Badge),
		},
		CollapseKey: r.Conversation, Route: push.Route{Roads: []string{push.Auto}},
		Overrides:  map[string]json.RawMessage{"apns": fmt.Appendf(nil, `{"badge":%d,"thread_id":%q}`, r.Badge, r.Conversation)},
		AcceptedAt: now, ExpiresAt: now.Add(ringLife),
	}
	_, err := b.house.scheduler.Enqueue(ctx, n, sum)
	if errors.Is(err, push.ErrConflict) {
		return nil
	}
	return err
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// preview is what a message looks like on a locked phone.
func preview(m *im.ChatMessage) string {
	const most = 120 // characters
	var body struct {
		Text  string `json:"text"`
		Title string `json:"title"`
		Name  string `json:"name"`
	}
	_ = json.Unmarshal(m.Body, &body) // it was checked when it was said
	text := orElse(body.Text, orElse(body.Title, body.Name))
	if m.Kind != im.KindText {
		text = strings.TrimSpace("[" + m.Kind + "] " + text)
	}
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}

// talk is what devices say on the live connection.
type talk struct{ house *house }

// User implements [access.Chat].
func (t talk) User(ctx context.Context, app, device string) (string, error) {
	return t.house.devices.Owner(ctx, app, device)
}

// Say implements [access.Chat].
func (t talk) Say(ctx context.Context, who im.Session, payload []byte) (retry bool, err error) {
	// The session knows its user, but a device that was given to another a moment
	// ago must not speak in the old one's name.
	user, err := t.User(ctx, who.App, who.Device)
	if err != nil {
		return true, err
	}
	var clientID string
	if user == "" {
		err = &im.Refusal{Code: "no_user", Detail: "the device belongs to no user: register it with one"}
	} else {
		clientID, err = t.house.chat.Say(ctx, im.Actor{App: who.App, User: user}, payload)
	}
	if err == nil {
		return false, nil
	}
	frame, ok := t.house.chat.Refused(clientID, err)
	if !ok {
		return true, err
	}
	// A device that cannot be told has gone; it will say it again and be told then.
	_ = t.house.router.Deliver(ctx, who.App, who.Device, frame.ID, frame.Payload, frame.Expires)
	return false, err
}

// Acked implements [link.Logic].
func (t talk) Acked(app, user, id string) { t.house.chat.Acked(app, user, id) }

// chatAcked takes out of reports those that are about chat, and notes them.
func (h *house) chatAcked(reports []im.Receipt) (others []int) {
	for i, r := range reports {
		if !logic.IsChat(r.ID) {
			others = append(others, i)
			continue
		}
		h.acked(r.App, r.User, r.ID)
	}
	return others
}
