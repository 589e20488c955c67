package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// arrive takes what came on the inbox.
func (d *Device) arrive(ctx context.Context, payload []byte) error {
	var about struct {
		Type     string  `json:"type"`
		ClientID string  `json:"client_id"`
		Message  Message `json:"message"`
	}
	if json.Unmarshal(payload, &about) != nil {
		return nil //nolint:nilerr // not ours; to refuse it would bring it again
	}
	switch about.Type {
	case "":
		d.notified(payload)
	case "message":
		return d.said(ctx, about.Message)
	case "refused":
		r := &Refusal{}
		_ = json.Unmarshal(payload, r) // it was read before
		if about.ClientID == "" {      // of something else that the device told
			d.fault(r)
			return nil
		}
		d.settle(about.ClientID, result{err: r})
	default:
		var e Event
		if json.Unmarshal(payload, &e) == nil && d.cfg.OnEvent != nil {
			d.cfg.OnEvent(e)
		}
	}
	return nil
}

func (d *Device) notified(payload []byte) {
	var n Notification
	if json.Unmarshal(payload, &n) != nil || n.ID == "" {
		return
	}
	id := n.Notification
	if id == "" {
		id = n.ID
	}
	fresh := false
	d.change(func(s *State) { fresh = s.show(id) })
	if fresh && d.cfg.OnNotification != nil {
		d.cfg.OnNotification(n)
	}
}

// said takes a message in its turn: what is known is dropped, what is missing
// fetched first.
func (d *Device) said(ctx context.Context, m Message) error {
	d.mu.Lock()
	head, known := d.state.Heads[m.Conversation]
	d.mu.Unlock()
	var err error
	switch {
	case d.cfg.API == "":
	case known && m.Seq > head+1:
		err = d.fetch(ctx, m.Conversation, head, m.Seq)
	case !known && m.Seq > 1: // it says since when we are in it
		err = d.pull(ctx)
	}
	if err != nil {
		return err
	}
	d.have(m)
	return nil
}

func (d *Device) have(m Message) {
	fresh := false
	d.mu.Lock()
	fresh = m.Seq > d.state.Heads[m.Conversation]
	d.mu.Unlock()
	if fresh {
		if d.cfg.OnMessage != nil {
			d.cfg.OnMessage(m)
		}
		d.change(func(s *State) { s.Heads[m.Conversation] = m.Seq })
	}
	if m.ClientID != "" {
		d.settle(m.ClientID, result{said: m})
	}
}

// fetch gets the messages after one, up to but not including another if that is
// given.
func (d *Device) fetch(ctx context.Context, conversation string, after, before uint64) error {
	const size = 200
	for {
		var page struct{ Messages []Message }
		path := fmt.Sprintf("conversations/%s/messages?after=%d&limit=%d", url.PathEscape(conversation), after, size)
		if err := d.ask(ctx, path, &page); err != nil {
			return err
		}
		for _, m := range page.Messages {
			if before == 0 || m.Seq < before {
				d.have(m)
			}
			after = m.Seq
		}
		if len(page.Messages) < size || before > 0 && after+1 >= before {
			return nil
		}
	}
}

// pull gets what has changed since the cursor. A device that comes for the first
// time begins with what its user has not read.
func (d *Device) pull(ctx context.Context) error {
	if d.cfg.API == "" {
		return nil
	}
	for more := true; more; {
		d.mu.Lock()
		cursor := d.state.Cursor
		d.mu.Unlock()
		var page struct {
			Changes []struct {
				ID   string
				Head uint64
				Gone bool
				Me   struct{ Joined, Read uint64 }
			}
			Next uint64
			More bool
		}
		if err := d.ask(ctx, fmt.Sprintf("changes?after=%d&limit=200", cursor), &page); err != nil {
			return err
		}
		for _, c := range page.Changes {
			d.mu.Lock()
			head, known := d.state.Heads[c.ID]
			d.mu.Unlock()
			if !known {
				head = max(c.Me.Joined, c.Me.Read)
				d.change(func(s *State) { s.Heads[c.ID] = head })
			}
			if c.Gone {
				d.change(func(s *State) { delete(s.Heads, c.ID) })
				continue
			}
			if c.Head > head {
				if err := d.fetch(ctx, c.ID, head, 0); err != nil {
					return err
				}
			}
		}
		d.change(func(s *State) { s.Cursor, s.Started = page.Next, true })
		more = page.More
	}
	return nil
}

// ask asks the API below /v1/im with the device's token.
func (d *Device) ask(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.cfg.API+"/v1/im/"+path, nil)
	if err != nil {
		return fmt.Errorf("live: ask: %w", err)
	}
	d.mu.Lock()
	r.Header.Set("Authorization", "Bearer "+d.token)
	d.mu.Unlock()
	resp, err := d.cfg.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("live: ask: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("live: ask: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		refusal := &Refusal{Code: "http", Detail: resp.Status}
		_ = json.Unmarshal(body, refusal) // if it says more
		return refusal
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("live: answer: %w", err)
	}
	return nil
}
