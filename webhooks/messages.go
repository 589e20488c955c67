package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// The states of a message as the table keeps them.
const (
	statePending = iota
	stateDelivered
	stateDead
)

// message is an event that is to be called out to an endpoint.
type message struct {
	seq      int64
	event    string
	body     []byte
	tries    int
	giveUpAt time.Time
}

// fanOut writes events down, once for each endpoint that wants them now.
func (h *Hooks) fanOut(ctx context.Context, entries [][]byte) (queued int, err error) {
	type row struct {
		Webhook string `json:"webhook"`
		Event   string `json:"event"`
		Type    string `json:"type"`
		Body    string `json:"body"`
	}
	var rows []row
	for _, entry := range entries {
		var events []outgoing
		if err := json.Unmarshal(entry, &events); err != nil {
			h.log.ErrorContext(ctx, "an entry of the outbox cannot be read and is left out", "err", err)
			continue
		}
		for _, e := range events {
			for _, to := range h.known.Load().byApp[e.App] {
				if to.Takes(e.Type) {
					rows = append(rows, row{to.ID, e.ID, e.Type, string(e.Event)})
				}
			}
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	// The endpoint may have been deleted meanwhile.
	const query = `
		INSERT INTO webhook_messages (webhook, event, type, body, created_at, next_at, give_up_at)
		SELECT r.value->>'webhook', r.value->>'event', r.value->>'type', r.value->>'body', CAST($2 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT)
		FROM json_each($1) AS r
		WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = r.value->>'webhook')
		ON CONFLICT (webhook, event) DO NOTHING`
	text, err := json.Marshal(rows)
	if err != nil {
		return 0, fmt.Errorf("webhooks: fan out: %w", err)
	}
	now := h.now()
	if _, err := h.db.Write().Exec(ctx, query, string(text), now.UnixMicro(), now.Add(h.cfg.GiveUp).UnixMicro()); err != nil {
		return 0, fail("fan out", err)
	}
	return len(rows), nil
}

// leaseTime is how long a worker may have a message in hand. After it the
// worker is taken for dead and the message is due again.
const leaseTime = 2 * time.Minute

// claim takes messages that are due, for [leaseTime].
func (h *Hooks) claim(ctx context.Context, id string, n int) ([]message, error) {
	// The condition stands twice: in PostgreSQL another process may have claimed
	// the same rows between the two.
	const query = `
		UPDATE webhook_messages SET next_at = $3
		WHERE state = 0 AND next_at <= $2 AND seq IN (
			SELECT seq FROM webhook_messages WHERE webhook = $1 AND state = 0 AND next_at <= $2 ORDER BY next_at, seq LIMIT $4)
		RETURNING seq, event, body, tries, give_up_at`
	now := h.now()
	all, err := database.Collect(ctx, h.db.Write(), query, []any{id, now.UnixMicro(), now.Add(leaseTime).UnixMicro(), n},
		func(scan database.Scanner) (m message, err error) {
			var giveUp int64
			err = scan(&m.seq, &m.event, &m.body, &m.tries, &giveUp)
			m.giveUpAt = at(giveUp)
			return m, err
		})
	return all, fail("claim", err)
}

// due lists the endpoints that something is due for.
func (h *Hooks) due(ctx context.Context) ([]string, error) {
	const query = `
		SELECT id FROM webhooks w WHERE enabled = 1 AND EXISTS (
			SELECT 1 FROM webhook_messages m WHERE m.webhook = w.id AND m.state = 0 AND m.next_at <= $1)`
	ids, err := database.Collect(ctx, h.db.Read(), query, []any{h.now().UnixMicro()}, func(scan database.Scanner) (id string, err error) {
		err = scan(&id)
		return id, err
	})
	return ids, fail("due", err)
}

// delivered notes that an endpoint has taken messages.
func (h *Hooks) delivered(ctx context.Context, ms []message, try push.WebhookTry) error {
	const query = `
		UPDATE webhook_messages SET state = 1, tries = tries + 1, last_at = $2, status = $3, error = '', took_ms = $4
		WHERE seq IN (SELECT CAST(value AS BIGINT) FROM json_each_text($1))`
	seqs := make([]string, len(ms))
	for i := range ms {
		seqs[i] = strconv.FormatInt(ms[i].seq, 10)
	}
	_, err := h.db.Write().Exec(ctx, query, database.List(seqs), h.now().UnixMicro(), try.Status, try.TookMs)
	return fail("note what was delivered", err)
}

// failed notes that an endpoint has not taken messages: they come again, or are
// dead letters. wait is what the endpoint asked for.
func (h *Hooks) failed(ctx context.Context, ms []message, try push.WebhookTry, wait time.Duration) (dead int, err error) {
	const query = `
		UPDATE webhook_messages SET state = $2, tries = tries + 1, next_at = $3, last_at = $4, status = $5, error = $6, took_ms = $7
		WHERE seq = $1 AND state = 0`
	now := h.now()
	err = h.db.Transact(ctx, func(tx database.Querier) error {
		dead = 0
		for i := range ms {
			m := &ms[i]
			next, state := now.Add(max(wait, backoff(m.tries))), statePending
			if !next.Before(m.giveUpAt) {
				state = stateDead
				dead++
			}
			if _, err := tx.Exec(ctx, query, m.seq, state, next.UnixMicro(), now.UnixMicro(), try.Status, try.Error, try.TookMs); err != nil {
				return err
			}
		}
		return nil
	})
	return dead, fail("note what failed", err)
}

// backoff is the time before the next try: 5 s, 20 s, 80 s … 6 h, a tenth more
// or less, so that what failed together does not come back together.
func backoff(tries int) time.Duration {
	d := 6 * time.Hour
	if tries < 7 {
		d = min(d, 5*time.Second<<(2*tries))
	}
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// WebhookDeliveries lists what went or is to go to an endpoint, newest first.
func (h *Hooks) WebhookDeliveries(ctx context.Context, app, id string, q push.WebhookQuery) (all []push.WebhookDelivery, next string, err error) {
	if _, err := h.Webhook(ctx, app, id); err != nil {
		return nil, "", err
	}
	before := int64(1<<63 - 1)
	if q.After != "" {
		if before, err = strconv.ParseInt(q.After, 10, 64); err != nil || before < 1 {
			return nil, "", &push.Invalid{Faults: []push.Fault{{Field: "after", Detail: "must be the next of an earlier answer"}}}
		}
	}
	const query = `
		SELECT seq, event, type, state, created_at, tries, last_at, next_at, status, error, took_ms, body FROM webhook_messages
		WHERE webhook = $1 AND seq < $2 AND ` + selection + ` ORDER BY seq DESC LIMIT $8`
	var last int64
	args := append([]any{id, before}, selected(q)...)
	all, err = database.Collect(ctx, h.db.Read(), query, append(args, q.Limit), func(scan database.Scanner) (d push.WebhookDelivery, err error) {
		d, last, err = scanDelivery(scan)
		return d, err
	})
	if err == nil && len(all) == q.Limit {
		next = strconv.FormatInt(last, 10)
	}
	return all, next, fail("deliveries", err)
}

// selection is the condition that a [push.WebhookQuery] is, in parameters 3 to 7.
const selection = `(CAST($3 AS BIGINT) < 0 OR state = $3) AND ($4 = '' OR type = $4)
	AND created_at >= $5 AND created_at < $6 AND ($7 = '' OR event = $7)`

func selected(q push.WebhookQuery) []any {
	until := int64(1<<63 - 1)
	if !q.Until.IsZero() {
		until = q.Until.UnixMicro()
	}
	from := int64(0)
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	state := -1
	for number, name := range stateNames() {
		if name == q.State {
			state = number
		}
	}
	return []any{state, storable(q.Type), from, until, storable(q.Event)}
}

// storable is the text, or one that no row has.
func storable(s string) string {
	if database.Storable(s) {
		return s
	}
	return "?"
}

func stateNames() [3]push.WebhookState {
	return [3]push.WebhookState{push.WebhookPending, push.WebhookDelivered, push.WebhookDead}
}

func scanDelivery(scan database.Scanner) (d push.WebhookDelivery, seq int64, err error) {
	var state int
	var created, last, next int64
	var body []byte
	err = scan(&seq, &d.Event, &d.Type, &state, &created, &d.Tries, &last, &next, &d.Status, &d.Error, &d.TookMs, &body)
	d.State, d.CreatedAt, d.LastAt, d.Body = stateNames()[state], at(created), at(last), body
	if state == statePending {
		d.NextAt = at(next)
	}
	return d, seq, err
}

// ReplayWebhook has an endpoint hear again of what a query selects, at once and
// for as long as if it were new. It returns how much that is.
func (h *Hooks) ReplayWebhook(ctx context.Context, app, id string, q push.WebhookQuery) (int, error) {
	if _, err := h.Webhook(ctx, app, id); err != nil {
		return 0, err
	}
	const query = `
		UPDATE webhook_messages SET state = 0, tries = 0, next_at = $2, give_up_at = $8
		WHERE webhook = $1 AND ` + selection
	now := h.now()
	args := append([]any{id, now.UnixMicro()}, selected(q)...)
	result, err := h.db.Write().Exec(ctx, query, append(args, now.Add(h.cfg.GiveUp).UnixMicro())...)
	if err != nil {
		return 0, fail("replay", err)
	}
	n, err := result.RowsAffected()
	h.rouse()
	return int(n), fail("replay", err)
}

// tidy gives up what nobody could be told of in time, and forgets what is old.
func (h *Hooks) tidy(ctx context.Context) error {
	now := h.now()
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`UPDATE webhook_messages SET state = 2, last_at = $1, error = CASE WHEN error = '' THEN 'given up: the endpoint was disabled' ELSE error END
			WHERE state = 0 AND give_up_at <= $1 AND next_at <= $1`, []any{now.UnixMicro()}},
		{`DELETE FROM webhook_messages WHERE state > 0 AND state = 1 AND last_at < $1`, []any{now.Add(-h.cfg.Keep).UnixMicro()}},
		{`DELETE FROM webhook_messages WHERE state > 0 AND state = 2 AND last_at < $1`, []any{now.Add(-h.cfg.KeepDead).UnixMicro()}},
	} {
		if _, err := h.db.Write().Exec(ctx, step.query, step.args...); err != nil {
			return fail("tidy up", err)
		}
	}
	return nil
}
