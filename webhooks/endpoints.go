package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/internal/publicnet"
	"github.com/herald-push/herald/push"
)

const (
	maxEndpoints   = 50 // of one app
	maxURL         = 2048
	maxDescription = 200
	maxBatch       = 100
	maxOverlap     = 30 * 24 * time.Hour
	secretSize     = 32 // bytes; the standard asks for 24 to 64
)

// endpoint is a webhook with what signs its calls.
type endpoint struct {
	push.Webhook
	signer, old *standardwebhooks.Webhook // old may be nil
}

// signers are those whose signatures a call carries at a time.
func (e *endpoint) signers(now time.Time) []*standardwebhooks.Webhook {
	if e.old != nil && now.Before(e.OldSecretUntil) {
		return []*standardwebhooks.Webhook{e.signer, e.old}
	}
	return []*standardwebhooks.Webhook{e.signer}
}

// check tells everything that is wrong with an endpoint that somebody wrote.
func (h *Hooks) check(w *push.Webhook) error {
	var faults []push.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, push.Fault{Field: field, Detail: fmt.Sprintf(format, args...)})
	}
	if detail := h.wrongURL(w.URL); detail != "" {
		fault("url", "%s", detail)
	}
	if len(w.Description) > maxDescription || !isLine(w.Description) {
		fault("description", "must be at most %d bytes without control characters", maxDescription)
	}
	if len(w.Events) == 0 {
		fault("events", `is missing: a list of types, or "*" for all`)
	}
	for i, e := range w.Events {
		switch {
		case e == "*" && len(w.Events) > 1 && !slices.Contains(w.Events, push.EventChatBeforeSend):
			fault(fmt.Sprintf("events[%d]", i), `"*" goes alone, or with %s`, push.EventChatBeforeSend)
		case e != "*" && !slices.Contains(push.EventTypes(), e):
			fault(fmt.Sprintf("events[%d]", i), `must be "*" or one of %s`, strings.Join(push.EventTypes(), ", "))
		case slices.Contains(w.Events[:i], e):
			fault(fmt.Sprintf("events[%d]", i), "is there twice")
		}
	}
	if w.Batch < 1 || w.Batch > maxBatch {
		fault("batch", "must be 1 to %d", maxBatch)
	}
	if len(w.DisabledWhy) > maxDescription || !isLine(w.DisabledWhy) {
		fault("disabled_why", "must be at most %d bytes without control characters", maxDescription)
	}
	if len(faults) > 0 {
		return &push.Invalid{Faults: faults}
	}
	return nil
}

func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// wrongURL tells in words why an endpoint cannot be there. Names are looked up
// when they are connected to, not here.
func (h *Hooks) wrongURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "is missing"
	case len(text) > maxURL || !isLine(text):
		return fmt.Sprintf("must be at most %d bytes without control characters", maxURL)
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "must be a URL such as https://example.com/herald"
	case u.User != nil:
		return "must carry no user or password: calls are signed"
	case u.Fragment != "":
		return "must have no fragment"
	case u.Scheme != "https" && (u.Scheme != "http" || !h.cfg.AllowPrivate):
		return "must begin with https://"
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !h.cfg.AllowPrivate && !publicnet.Is(ip) {
		return "must be a public address"
	}
	return ""
}

// newSecret makes a secret as the standard writes it.
func newSecret() string {
	var b [secretSize]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

func newID() string {
	return "wh_" + strings.ToLower(rand.Text()[:20])
}

// CreateWebhook makes an endpoint, fills in its id and times, and returns its
// secret, which is shown nowhere else.
func (h *Hooks) CreateWebhook(ctx context.Context, w *push.Webhook) (secret string, err error) {
	if err := h.check(w); err != nil {
		return "", err
	}
	w.ID, secret = newID(), newSecret()
	const count = `SELECT count(*) FROM webhooks WHERE app = $1`
	const query = `
		INSERT INTO webhooks (id, app, url, description, events, batch, enabled, disabled_why, secret, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`
	t := h.now().UnixMicro()
	err = h.db.Transact(ctx, func(tx database.Querier) error {
		var n int
		if err := tx.QueryRow(ctx, count, w.App).Scan(&n); err != nil {
			return err
		}
		if n >= maxEndpoints {
			return &push.Invalid{Faults: []push.Fault{{Field: "url", Detail: fmt.Sprintf("is one too many: the app has %d webhooks", n)}}}
		}
		_, err := tx.Exec(ctx, query, w.ID, w.App, w.URL, w.Description, list(w.Events), w.Batch, number(w.Enabled), why(w),
			h.sealer.Seal([]byte(secret), w.App, bindTo(w.ID)), t)
		return err
	})
	if err != nil {
		return "", fail("create endpoint", err)
	}
	w.CreatedAt, w.UpdatedAt, w.DisabledWhy = at(t), at(t), why(w)
	return secret, h.refresh(ctx)
}

// ChangeWebhook writes an endpoint whole, but for its secret. Enabling it again
// forgets that it was failing, and what is due is called out at once.
func (h *Hooks) ChangeWebhook(ctx context.Context, w *push.Webhook) error {
	if err := h.check(w); err != nil {
		return err
	}
	const query = `
		UPDATE webhooks SET url = $3, description = $4, events = $5, batch = $6, enabled = $7, disabled_why = $8, updated_at = $9,
			failing_since = CASE WHEN enabled = 0 OR url <> $3 THEN 0 ELSE failing_since END
		WHERE app = $1 AND id = $2
		RETURNING ` + columns
	row := h.db.Write().QueryRow(ctx, query, w.App, w.ID, w.URL, w.Description, list(w.Events), w.Batch, number(w.Enabled), why(w), h.now().UnixMicro())
	changed, err := scanWebhook(row.Scan)
	if err != nil {
		return fail("change endpoint "+w.ID, err)
	}
	*w = changed
	h.forgetLine(w.ID)
	return h.refresh(ctx)
}

// why is the reason that is kept: there is none for one that is enabled.
func why(w *push.Webhook) string {
	if w.Enabled {
		return ""
	}
	if w.DisabledWhy == "" {
		return "switched off"
	}
	return w.DisabledWhy
}

const columns = `id, app, url, description, events, batch, enabled, disabled_why, failing_since, old_until, created_at, updated_at`

func scanWebhook(scan database.Scanner) (push.Webhook, error) {
	w, _, _, err := scanRow(scan, false)
	return w, err
}

func scanRow(scan database.Scanner, secrets bool) (w push.Webhook, secret, old []byte, err error) {
	var events []byte
	var enabled, failing, oldUntil, created, updated int64
	into := []any{&w.ID, &w.App, &w.URL, &w.Description, &events, &w.Batch, &enabled, &w.DisabledWhy, &failing, &oldUntil, &created, &updated}
	if secrets {
		into = append(into, &secret, &old)
	}
	if err := scan(into...); err != nil {
		return w, nil, nil, err
	}
	w.Enabled, w.FailingSince, w.CreatedAt, w.UpdatedAt = enabled == 1, at(failing), at(created), at(updated)
	if until := at(oldUntil); time.Now().Before(until) {
		w.OldSecretUntil = until
	}
	return w, secret, old, json.Unmarshal(events, &w.Events)
}

// Webhook returns one endpoint.
func (h *Hooks) Webhook(ctx context.Context, app, id string) (push.Webhook, error) {
	const query = `SELECT ` + columns + ` FROM webhooks WHERE app = $1 AND id = $2`
	if !database.Storable(id) {
		return push.Webhook{}, fail("endpoint", push.ErrNotFound)
	}
	w, err := scanWebhook(h.db.Read().QueryRow(ctx, query, app, id).Scan)
	return w, fail("endpoint of app "+app, err)
}

// Webhooks lists the endpoints of an app, oldest first.
func (h *Hooks) Webhooks(ctx context.Context, app string) ([]push.Webhook, error) {
	const query = `SELECT ` + columns + ` FROM webhooks WHERE app = $1 ORDER BY created_at, id`
	all, err := database.Collect(ctx, h.db.Read(), query, []any{app}, scanWebhook)
	return all, fail("endpoints of app "+app, err)
}

// DeleteWebhook forgets an endpoint with everything that was on its way there.
func (h *Hooks) DeleteWebhook(ctx context.Context, app, id string) error {
	const query = `DELETE FROM webhooks WHERE app = $1 AND id = $2 RETURNING id`
	if !database.Storable(id) {
		return fail("delete endpoint", push.ErrNotFound)
	}
	var gone string
	if err := h.db.Write().QueryRow(ctx, query, app, id).Scan(&gone); err != nil {
		return fail("delete endpoint of app "+app, err)
	}
	h.forgetLine(id)
	return h.refresh(ctx)
}

// RotateWebhook gives an endpoint a new secret. For the overlap its calls are
// signed with the old one too, so that nobody misses any.
func (h *Hooks) RotateWebhook(ctx context.Context, app, id string, overlap time.Duration) (secret string, w push.Webhook, err error) {
	if overlap < 0 || overlap > maxOverlap {
		return "", w, &push.Invalid{Faults: []push.Fault{{Field: "overlap_seconds", Detail: fmt.Sprintf("must be 0 to %d", int(maxOverlap.Seconds()))}}}
	}
	if !database.Storable(id) {
		return "", w, fail("rotate", push.ErrNotFound)
	}
	const query = `
		UPDATE webhooks SET old_secret = secret, old_until = $3, secret = $4, updated_at = $5
		WHERE app = $1 AND id = $2 RETURNING ` + columns
	secret = newSecret()
	now := h.now()
	row := h.db.Write().QueryRow(ctx, query, app, id, now.Add(overlap).UnixMicro(), h.sealer.Seal([]byte(secret), app, bindTo(id)), now.UnixMicro())
	if w, err = scanWebhook(row.Scan); err != nil {
		return "", w, fail("rotate the secret of an endpoint of app "+app, err)
	}
	return secret, w, h.refresh(ctx)
}

// refresh reads which endpoints there are. One whose secret does not open is
// left out and said so: it cannot be called.
func (h *Hooks) refresh(ctx context.Context) error {
	const query = `SELECT ` + columns + `, secret, old_secret FROM webhooks WHERE enabled = 1`
	all, err := database.Collect(ctx, h.db.Read(), query, nil, func(scan database.Scanner) (*endpoint, error) {
		w, secret, old, err := scanRow(scan, true)
		if err != nil {
			return nil, err
		}
		return h.open(ctx, w, secret, old), nil
	})
	if err != nil {
		return fail("endpoints", err)
	}
	k := &known{byApp: make(map[string][]*endpoint), byID: make(map[string]*endpoint)}
	for _, e := range all {
		if e != nil {
			k.byApp[e.App] = append(k.byApp[e.App], e)
			k.byID[e.ID] = e
		}
	}
	h.known.Store(k)
	return nil
}

// open unseals what signs an endpoint's calls; nil if that does not open.
func (h *Hooks) open(ctx context.Context, w push.Webhook, secret, old []byte) *endpoint {
	e := &endpoint{Webhook: w}
	var err error
	if e.signer, err = h.signer(w, secret); err != nil {
		h.log.ErrorContext(ctx, "the secret of a webhook does not open", "app", w.App, "webhook", w.ID, "err", err)
		return nil
	}
	if len(old) > 0 && !w.OldSecretUntil.IsZero() {
		e.old, _ = h.signer(w, old) // the new one signs anyway
	}
	return e
}

func (h *Hooks) signer(w push.Webhook, sealed []byte) (*standardwebhooks.Webhook, error) {
	secret, err := h.sealer.Open(sealed, w.App, bindTo(w.ID))
	if err != nil {
		return nil, err
	}
	return standardwebhooks.NewWebhook(string(secret))
}

func bindTo(id string) string { return "webhook/" + id }

func list(texts []string) string {
	text, _ := json.Marshal(texts) // texts never fail
	return string(text)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// at reads a time of the tables; 0 is the zero time.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
