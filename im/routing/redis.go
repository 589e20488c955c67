package routing

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/im"
)

//go:embed enter.lua
var enterSource string

//go:embed leave.lua
var leaveSource string

//go:embed own.lua
var ownSource string

//go:embed disown.lua
var disownSource string

// Redis is a [Registry] and [Link] for nodes that share a Redis.
//
// Keys: herald:{app/p:device} is a device's presence (see enter.lua),
// herald:{app/u:user} a hash of the user's devices that are connected, each with
// its presence (see own.lua),
// herald:node:{node} a node's lease, whose value is the process's boot; the
// node's channel has the same name.
type Redis struct {
	client redis.UniversalClient
	expiry time.Duration
	enter  *redis.Script
	leave  *redis.Script
	own    *redis.Script
	disown *redis.Script

	mu     sync.Mutex
	leases map[string]lease // as read a moment ago; ends is until when that is good
}

// leaseGood is how long a lease that was read is believed. A node that dies is
// thought alive that much longer.
const leaseGood = 500 * time.Millisecond

// NewRedis returns one over client, which the caller owns. cfg gives the expiry
// of entries.
func NewRedis(client redis.UniversalClient, cfg Config) *Redis {
	return &Redis{
		client: client,
		expiry: 3 * cfg.Sweep,
		enter:  redis.NewScript(enterSource),
		leave:  redis.NewScript(leaveSource),
		own:    redis.NewScript(ownSource),
		disown: redis.NewScript(disownSource),
		leases: map[string]lease{},
	}
}

func presenceKey(d Device) string     { return "herald:{" + d.App + "/p:" + d.Device + "}" }
func userKey(app, user string) string { return "herald:{" + app + "/u:" + user + "}" }

func nodeKey(node string) string { return "herald:node:{" + node + "}" }

// Enter implements [Registry].
func (r *Redis) Enter(ctx context.Context, entries []Entry) ([]Outcome, error) {
	cmds, err := r.run(ctx, r.enter, len(entries), func(i int) (string, []any) {
		e := entries[i]
		restore := 0
		if e.Restore {
			restore = 1
		}
		return presenceKey(e.Device), []any{e.Node, e.Boot, e.Serial, e.Since.UnixMilli(), r.expiry.Milliseconds(), restore}
	})
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(entries))
	var owned []Entry
	for i, cmd := range cmds {
		answer, err := cmd.Slice()
		if err != nil || len(answer) != 3 {
			return nil, fmt.Errorf("routing: enter.lua answered %v: %w", answer, err)
		}
		result, _ := answer[0].(int64)
		before, _ := answer[1].(string)
		now, _ := answer[2].(string)
		outcomes[i] = Outcome{Result: Result(result), Before: parsePlace(before)}
		if entries[i].User != "" && (outcomes[i].Result == Entered || outcomes[i].Result == Known) {
			e := entries[i]
			e.Place = parsePlace(now)
			owned = append(owned, e)
		}
	}
	if len(owned) == 0 {
		return outcomes, nil
	}
	_, err = r.run(ctx, r.own, len(owned), func(i int) (string, []any) {
		e := owned[i]
		return userKey(e.App, e.User), []any{e.Device.Device, formatPlace(e.Place), e.Epoch, r.expiry.Milliseconds()}
	})
	return outcomes, err
}

// Leave implements [Registry].
func (r *Redis) Leave(ctx context.Context, entries []Entry) error {
	_, err := r.run(ctx, r.leave, len(entries), func(i int) (string, []any) {
		e := entries[i]
		return presenceKey(e.Device), []any{e.Node, e.Boot, e.Serial}
	})
	if err != nil {
		return err
	}
	owned := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.User == "" })
	if len(owned) == 0 {
		return nil
	}
	_, err = r.run(ctx, r.disown, len(owned), func(i int) (string, []any) {
		e := owned[i]
		return userKey(e.App, e.User), []any{e.Device.Device, e.Node, e.Boot, e.Serial}
	})
	return err
}

// run runs a script n times in one round trip; a second one follows where Redis
// did not know the script.
func (r *Redis) run(ctx context.Context, script *redis.Script, n int, call func(i int) (key string, args []any)) ([]*redis.Cmd, error) {
	attempt := func() ([]*redis.Cmd, error) {
		cmds := make([]*redis.Cmd, n)
		_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range n {
				key, args := call(i)
				cmds[i] = script.EvalSha(ctx, p, []string{key}, args...)
			}
			return nil
		})
		return cmds, err
	}
	cmds, err := attempt()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// Both scripts may be run again on what they did before.
		if err = script.Load(ctx, r.client).Err(); err == nil {
			cmds, err = attempt()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("routing: presence in redis: %w", err)
	}
	return cmds, nil
}

// Find implements [Registry].
func (r *Redis) Find(ctx context.Context, devices []Device) ([]im.Place, error) {
	cmds := make([]*redis.StringCmd, len(devices))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range devices {
			cmds[i] = p.Get(ctx, presenceKey(d))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("routing: presence in redis: %w", err)
	}
	places := make([]im.Place, len(devices))
	for i, cmd := range cmds {
		places[i] = parsePlace(cmd.Val())
	}
	boots, err := r.boots(ctx, slices.Values(places))
	if err != nil {
		return nil, err
	}
	for i, p := range places {
		if p.Node != "" && boots[p.Node] != p.Boot {
			places[i] = im.Place{}
		}
	}
	return places, nil
}

// Users implements [Registry].
func (r *Redis) Users(ctx context.Context, app string, users []string) ([][]Located, error) {
	cmds := make([]*redis.MapStringStringCmd, len(users))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, user := range users {
			cmds[i] = p.HGetAll(ctx, userKey(app, user))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("routing: presence in redis: %w", err)
	}
	found := make([][]Located, len(users))
	for i, cmd := range cmds {
		for device, place := range cmd.Val() {
			found[i] = append(found[i], Located{device, parsePlace(place)})
		}
	}
	boots, err := r.boots(ctx, func(yield func(im.Place) bool) {
		for _, devices := range found {
			for _, d := range devices {
				if !yield(d.Place) {
					return
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = slices.DeleteFunc(found[i], func(d Located) bool { return d.Node == "" || boots[d.Node] != d.Boot })
	}
	return found, nil
}

// boots returns which process holds the lease of each node in places.
func (r *Redis) boots(ctx context.Context, places iter.Seq[im.Place]) (map[string]string, error) {
	boots := map[string]string{}
	var ask []string
	now := time.Now()
	r.mu.Lock()
	for p := range places {
		if _, seen := boots[p.Node]; seen || p.Node == "" {
			continue
		}
		l := r.leases[p.Node]
		boots[p.Node] = l.boot
		if !now.Before(l.ends) {
			ask = append(ask, p.Node)
		}
	}
	r.mu.Unlock()
	if len(ask) == 0 {
		return boots, nil
	}
	cmds := make([]*redis.StringCmd, len(ask))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, node := range ask {
			cmds[i] = p.Get(ctx, nodeKey(node))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("routing: leases in redis: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, node := range ask {
		boots[node] = cmds[i].Val()
		if boots[node] == "" {
			delete(r.leases, node)
			continue
		}
		r.leases[node] = lease{boots[node], now.Add(leaseGood)}
	}
	return boots, nil
}

// parsePlace reads the value that enter.lua writes; anything else is nowhere.
func parsePlace(s string) im.Place {
	f := strings.Split(s, " ")
	if len(f) != 5 || f[0] == "" {
		return im.Place{}
	}
	serial, err1 := strconv.ParseUint(f[2], 10, 64)
	epoch, err2 := strconv.ParseUint(f[3], 10, 64)
	since, err3 := strconv.ParseInt(f[4], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return im.Place{}
	}
	return im.Place{Node: f[0], Boot: f[1], Serial: serial, Epoch: epoch, Since: time.UnixMilli(since).UTC()}
}

// formatPlace writes a place as enter.lua does.
func formatPlace(p im.Place) string {
	return fmt.Sprintf("%s %s %d %d %d", p.Node, p.Boot, p.Serial, p.Epoch, p.Since.UnixMilli())
}

// Renew implements [Registry].
func (r *Redis) Renew(ctx context.Context, node, boot string, d time.Duration) (lost bool, err error) {
	old, err := r.client.SetArgs(ctx, nodeKey(node), boot, redis.SetArgs{Get: true, TTL: d}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("routing: lease in redis: %w", err)
	}
	return old != boot, nil
}

// Retire implements [Registry]. A process of the same name that took the lease
// between the two steps takes it again at its next renewal.
func (r *Redis) Retire(ctx context.Context, node, boot string) error {
	holder, err := r.client.Get(ctx, nodeKey(node)).Result()
	if err == nil && holder == boot {
		err = r.client.Del(ctx, nodeKey(node)).Err()
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("routing: lease in redis: %w", err)
	}
	return nil
}

// Send implements [Link].
func (r *Redis) Send(ctx context.Context, node string, frame []byte) (bool, error) {
	n, err := r.client.Publish(ctx, nodeKey(node), frame).Result()
	if err != nil {
		return false, fmt.Errorf("routing: channel of %s: %w", node, err)
	}
	return n > 0, nil
}

// Listen implements [Link]. It returns when the subscription breaks.
func (r *Redis) Listen(ctx context.Context, node string, receive func([]byte)) error {
	sub := r.client.Subscribe(ctx, nodeKey(node))
	defer sub.Close() //nolint:errcheck // nothing is left to lose
	// A read that waits does not hear of the end of ctx; it hears of this.
	defer context.AfterFunc(ctx, func() { sub.Close() })() //nolint:errcheck // as above
	for {
		msg, err := sub.ReceiveMessage(ctx)
		if err != nil {
			return fmt.Errorf("routing: channel of %s: %w", node, err)
		}
		receive([]byte(msg.Payload))
	}
}
