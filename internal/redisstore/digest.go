package redisstore

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

//go:embed digest.lua
var digestLua string

//go:embed take.lua
var takeLua string

// digestItems is how many notifications a digest remembers; more are counted.
const digestItems = 100

// Digests collects notifications per person. It is safe for concurrent use.
type Digests struct {
	rdb    redis.UniversalClient
	digest script
	take   *redis.Script // it has two keys, which run does not know
}

// NewDigests collects in rdb.
func NewDigests(rdb redis.UniversalClient) *Digests {
	return &Digests{rdb: rdb, digest: newScript(digestLua), take: redis.NewScript(takeLua)}
}

// Collected is a notification for a digest.
type Collected struct {
	App, Who     string // see [Who]
	Notification *push.Notification
}

// Item is what a digest remembers of a notification.
type Item struct {
	Title string    `json:"title"`
	Body  string    `json:"body,omitempty"`
	At    time.Time `json:"at"`
}

// Digest is what was collected for one person.
type Digest struct {
	Count    int
	Items    []Item // oldest first, the first hundred
	Class    push.Class
	TTL      time.Duration
	Template string
}

// Collect puts each notification into the digest of its person, once, and
// answers when each is due. One round trip.
func (s *Digests) Collect(ctx context.Context, now time.Time, all []Collected) ([]time.Time, error) {
	calls := make([]call, len(all))
	for i, c := range all {
		n := c.Notification
		item, err := json.Marshal(Item{Title: n.Title, Body: n.Body, At: n.AcceptedAt})
		if err != nil {
			return nil, fmt.Errorf("redisstore: encode item of a digest: %w", err)
		}
		due := now.Add(n.Digest.Window())
		calls[i] = call{s.digest, digestKey(c.App, n.Digest.Key, c.Who), []any{
			n.ID, item, due.UnixMilli(), digestItems, string(n.Class), int(n.ExpiresAt.Sub(Start(n)).Seconds()), n.Digest.Template,
		}}
	}
	cmds, err := run(ctx, s.rdb, calls)
	if err != nil {
		return nil, err
	}
	dues := make([]time.Time, len(all))
	for i, cmd := range cmds {
		text, err := cmd.Text()
		if err != nil {
			return nil, fmt.Errorf("redisstore: collect: %w", err)
		}
		dues[i] = time.UnixMilli(int64(number(text))).UTC()
	}
	return dues, nil
}

// Take closes a digest that is due and returns it; nil if it was sent before.
// It stays there until [Digests.Sent].
func (s *Digests) Take(ctx context.Context, app, key, who string, due time.Time) (*Digest, error) {
	open := digestKey(app, key, who)
	words, err := s.take.Run(ctx, s.rdb, []string{open, closedKey(open, due)}, due.UnixMilli()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: take digest: %w", away(err))
	}
	if len(words) == 0 {
		return nil, nil
	}
	d := new(Digest)
	for i := 0; i+1 < len(words); i += 2 {
		switch name, value := words[i], words[i+1]; {
		case name == "#count":
			d.Count = number(value)
		case name == "#class":
			d.Class = push.Class(value)
		case name == "#ttl":
			d.TTL = time.Duration(number(value)) * time.Second
		case name == "#template":
			d.Template = value
		case strings.HasPrefix(name, "#") || value == "":
		default:
			var item Item
			if err := json.Unmarshal([]byte(value), &item); err != nil {
				return nil, fmt.Errorf("redisstore: decode item of a digest: %w", err)
			}
			d.Items = append(d.Items, item)
		}
	}
	slices.SortStableFunc(d.Items, func(a, b Item) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Title, b.Title))
	})
	return d, nil
}

// Sent forgets a digest that was taken.
func (s *Digests) Sent(ctx context.Context, app, key, who string, due time.Time) error {
	if err := s.rdb.Del(ctx, closedKey(digestKey(app, key, who), due)).Err(); err != nil {
		return fmt.Errorf("redisstore: forget digest: %w", away(err))
	}
	return nil
}
