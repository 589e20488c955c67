package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// digestRef is the payload of [taskDigest].
type digestRef struct {
	App string    `json:"app"`
	Key string    `json:"key"`
	Who string    `json:"who"` // see [redisstore.Who]
	Due time.Time `json:"due"`
}

// id names the digest's notification: the same whenever its task is done again.
func (r *digestRef) id() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", r.App, r.Key, r.Who, r.Due.UnixMilli()))
	return "digest:" + hex.EncodeToString(sum[:12])
}

// ruleDigest collects what is to come together with others, and ends it here.
func (r *round) ruleDigest(ctx context.Context, ds []*delivery) error {
	var all []redisstore.Collected
	var of []*delivery
	for _, d := range ds {
		if d.Digest != nil && d.first() {
			all = append(all, redisstore.Collected{App: d.App, Who: redisstore.Who(d.device), Notification: d.Notification})
			of = append(of, d)
		}
	}
	if len(all) == 0 {
		return nil
	}
	dues, err := r.w.digests.Collect(ctx, r.now, all)
	if err != nil {
		return fmt.Errorf("scheduler: collect for digests: %w", err)
	}
	for i, d := range of {
		ref := digestRef{d.App, d.Digest.Key, all[i].Who, dues[i]}
		if err := r.w.tasks.put(ctx, taskDigest, r.urgency, "digest/"+d.App+"/"+ref.id(), ref, dues[i]); err != nil {
			return err
		}
		d.ruled.suppress("collected into %s", ref.id())
	}
	return nil
}

// digester handles [taskDigest].
type digester struct{ w *Worker }

// ProcessTask sends one notification for all that a digest has collected. It
// goes in by the door, under an id that makes a repeat the same one.
func (h *digester) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var ref digestRef
	if err := json.Unmarshal(t.Payload(), &ref); err != nil {
		return fmt.Errorf("scheduler: decode digest: %w: %w", err, asynq.SkipRetry)
	}
	digest, err := h.w.digests.Take(ctx, ref.App, ref.Key, ref.Who, ref.Due)
	if err != nil || digest == nil || len(digest.Items) == 0 {
		return err
	}
	n := ref.notification(digest)
	if err := h.word(ctx, n, digest); errors.Is(err, push.ErrAway) {
		return err
	} else if err != nil {
		// The plain summary is better than nothing at all.
		n.Template, n.Variables = "", nil
		h.w.log.WarnContext(ctx, "a digest goes without its template", "app", ref.App, "template", digest.Template, "err", err)
	}
	if err := h.w.door.accepted(ctx, n, sha256.Sum256([]byte(n.ID))); err != nil {
		return err
	}
	return h.w.digests.Sent(ctx, ref.App, ref.Key, ref.Who, ref.Due)
}

// word words a digest by its template, which need not use all that there is to
// say: what it does not know is left out.
func (h *digester) word(ctx context.Context, n *push.Notification, d *redisstore.Digest) error {
	if d.Template == "" || h.w.parts.Wording == nil {
		return nil
	}
	n.Template, n.Variables = d.Template, digestVariables(d)
	err := h.w.parts.Wording(ctx, n)
	if invalid, ok := errors.AsType[*push.Invalid](err); ok {
		for _, f := range invalid.Faults {
			delete(n.Variables, strings.TrimPrefix(f.Field, "variables."))
		}
		err = h.w.parts.Wording(ctx, n)
	}
	return err
}

// summary is how many titles a digest without a template lists.
const summary = 5

// longestValue is what a template takes as the value of a variable, in bytes.
const longestValue = 1024

// notification is the plain summary: the latest title, how many more there
// were, and the titles one a line. One notification alone stays what it was.
func (r *digestRef) notification(d *redisstore.Digest) *push.Notification {
	now := time.Now().UTC()
	latest := d.Items[len(d.Items)-1]
	n := &push.Notification{
		App: r.App, ID: r.id(), Class: d.Class, Title: latest.Title, Body: latest.Body,
		AcceptedAt: now, ExpiresAt: now.Add(d.TTL),
	}
	switch kind, name, _ := strings.Cut(r.Who, ":"); kind {
	case "u":
		n.To.User = name
	default:
		n.To.Device = name
	}
	if d.Count > 1 {
		n.Title = fmt.Sprintf("%s (+%d)", latest.Title, d.Count-1)
		n.Body = strings.Join(titles(d.Items[max(0, len(d.Items)-summary):]), "\n")
	}
	return n
}

func titles(items []redisstore.Item) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = item.Title
	}
	return all
}

func digestVariables(d *redisstore.Digest) map[string]string {
	latest := d.Items[len(d.Items)-1]
	all := map[string]string{
		"count": strconv.Itoa(d.Count), "title": latest.Title, "body": latest.Body,
		"titles": strings.Join(titles(d.Items[max(0, len(d.Items)-summary):]), "\n"),
	}
	for name, value := range all {
		all[name] = strings.ToValidUTF8(value[:min(len(value), longestValue)], "")
	}
	return all
}
