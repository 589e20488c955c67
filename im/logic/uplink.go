package logic

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/herald-push/herald/im"
)

// uplink is what a device publishes to talk: docs/protocol.md.
type uplink struct {
	Op           string          `json:"op"` // send, edit, recall, cursor, typing
	To           string          `json:"to"`
	Conversation string          `json:"conversation"`
	ClientID     string          `json:"client_id"`
	Kind         string          `json:"kind"`
	Body         json.RawMessage `json:"body"`
	ReplyTo      uint64          `json:"reply_to"`
	Mentions     []string        `json:"mentions"`
	Seq          uint64          `json:"seq"`
	Received     uint64          `json:"received"`
	Read         uint64          `json:"read"`
}

// Say does what a user's device asks for on its connection. What may not be is
// an [*im.Refusal]; the device hears of it by [Logic.Refused].
func (l *Logic) Say(ctx context.Context, who im.Actor, payload []byte) (clientID string, err error) {
	var u uplink
	if err := json.Unmarshal(payload, &u); err != nil {
		return "", refuse("invalid", "", "not a JSON object as docs/protocol.md has it")
	}
	switch u.Op {
	case "send":
		_, err = l.Send(ctx, who, im.ChatMessage{
			Conversation: u.Conversation, Sender: who.User, ClientID: u.ClientID, Kind: u.Kind, Body: u.Body,
			ReplyTo: u.ReplyTo, Mentions: u.Mentions,
		}, u.To)
	case "edit":
		_, err = l.Edit(ctx, who, u.Conversation, u.Seq, u.Body)
	case "recall":
		_, err = l.Recall(ctx, who, u.Conversation, u.Seq)
	case "cursor":
		err = l.Mark(ctx, who, u.Conversation, u.Received, u.Read)
	case "typing":
		err = l.Typing(ctx, who, u.Conversation)
	default:
		err = refuse("invalid", "op", "%.32q is none of send, edit, recall, cursor, typing", u.Op)
	}
	return u.ClientID, err
}

// Refused is the frame that tells a device why what it said was not taken; ok
// is false for an error that is no refusal.
func (l *Logic) Refused(clientID string, err error) (frame im.Message, ok bool) {
	var r *im.Refusal
	if !errors.As(err, &r) {
		return im.Message{}, false
	}
	f := struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		ClientID string `json:"client_id,omitempty"`
		Code     string `json:"code"`
		Field    string `json:"field,omitempty"`
		Detail   string `json:"detail"`
	}{passing + newID(), "refused", clientID, r.Code, r.Field, r.Detail}
	payload, err := json.Marshal(f)
	return im.Message{ID: f.ID, Payload: payload, Expires: l.now().Add(time.Minute)}, err == nil
}
