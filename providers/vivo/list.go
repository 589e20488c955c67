package vivo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// maxBatch is how many registration ids vivo takes in one list.
const maxBatch = 1000

// Batch implements [providers.Batcher]. vivo reports on what arrived of messages
// to one device only, so only those go out as a list that nobody waits for:
// marketing, and everything where no reports are wanted. Lists have a quota of
// their own.
func (p *Provider) Batch(n *push.Notification) int {
	if p.now().UnixMilli() < p.noLists.Load() || (n.Class != push.Marketing && p.callback != "") {
		return 1
	}
	return maxBatch
}

// list is the body of a request that sends a saved message.
type list struct {
	AppID     string   `json:"appId"`
	RegIDs    []string `json:"regIds"`
	TaskID    string   `json:"taskId"`
	RequestID string   `json:"requestId"`
}

// deliverList saves a message and has it sent to the list. As long as it is only
// saved, nobody has heard.
func (p *Provider) deliverList(ctx context.Context, access string, m message, tokens []string) (*answer, *push.Error) {
	saved, e := p.post(ctx, savePath, access, m)
	switch {
	case e != nil && errors.Is(e.Kind, push.ErrUnknown):
		e.Kind = push.ErrUnavailable
		return nil, e
	case e != nil:
		return nil, e
	case saved.TaskID == "":
		return nil, &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the message was saved without an id"}
	}
	sent, e := p.post(ctx, listPath, access, list{
		AppID: p.config.ID, RegIDs: tokens, TaskID: saved.TaskID, RequestID: listID(m.RequestID, tokens),
	})
	if e == nil && sent.TaskID == "" {
		sent.TaskID = saved.TaskID
	}
	return sent, e
}

// listID names the list: those of a chunk that are left over make another one.
func listID(chunk string, tokens []string) string {
	sum := sha256.Sum256([]byte(strings.Join(tokens, ",")))
	return requestID(chunk + "/" + hex.EncodeToString(sum[:8]))
}

// replies reads what became of each device.
func (p *Provider) replies(a *answer, tokens []string, w push.Payload) []push.Reply {
	replies := providers.Each(len(tokens), push.Answer{ID: a.TaskID, Stage: push.Accepted, Bytes: w.Bytes}, nil)
	if len(a.Invalids) == 0 {
		return replies
	}
	bad := make(map[string]string, len(a.Invalids))
	for _, u := range a.Invalids {
		bad[u.Token] = u.word()
	}
	for i, token := range tokens {
		if word, ok := bad[token]; ok {
			e := p.codes.Error(name, 0, word)
			e.Code = nobody
			replies[i] = push.Reply{Err: e}
		}
	}
	return replies
}
