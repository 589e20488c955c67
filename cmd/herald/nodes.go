package main

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/push"
)

// nodeEvery is how often a node says how it is.
const nodeEvery = 2 * time.Second

// nodeWindow is over which what is unacknowledged is counted.
const nodeWindow = time.Minute

// crier tells the others how this node's live connections are.
type crier struct {
	house *house
	began time.Time

	last []heard // of the last minute, the oldest first
}

// heard is what a node counted at one moment.
type heard struct {
	longconn.Snapshot
	at time.Time
}

// Run speaks until ctx ends, and takes its leave.
func (c *crier) Run(ctx context.Context) error {
	nodes := redisstore.NewNodes(c.house.redis)
	tick := time.NewTicker(nodeEvery)
	defer tick.Stop()
	for {
		if err := nodes.Say(ctx, c.word(time.Now())); err != nil && ctx.Err() == nil {
			c.house.log.WarnContext(ctx, "the others do not hear how this node is", "err", err)
		}
		select {
		case <-ctx.Done():
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := nodes.Gone(leave, c.house.router.Node()); err != nil {
				c.house.log.WarnContext(leave, "the others see this node a little longer", "err", err)
			}
			return nil
		case <-tick.C:
		}
	}
}

// word is how the node is now, with rates since its last word.
func (c *crier) word(now time.Time) push.Node {
	s := c.house.conns.Stats()
	n := push.Node{
		ID: c.house.router.Node(), Since: c.began, At: now.UTC(), Sessions: s.Sessions, Open: s.Open,
		Delivered: s.Delivered, Acked: s.Acked, Full: s.Full, Closed: map[string]uint64{}, Draining: c.house.conns.Away(),
	}
	for cause, count := range s.Closed {
		if count > 0 {
			n.Closed[cause] = count
		}
	}
	for len(c.last) > 0 && now.Sub(c.last[0].at) > nodeWindow {
		c.last = c.last[1:]
	}
	if len(c.last) > 0 {
		before := c.last[len(c.last)-1]
		past := now.Sub(before.at).Seconds()
		n.ConnectsRate = float64(s.Opened-before.Opened) / past
		n.SentRate = float64(s.Delivered-before.Delivered) / past
		n.AckedRate = float64(s.Acked-before.Acked) / past
		n.SlowRate = float64(s.Full-before.Full) / past
		n.Unacked, n.OldestUnack = c.unacknowledged(s, now)
	}
	c.last = append(c.last, heard{s, now})
	return n
}

// unacknowledged is how much of what was written in the last minute nobody has
// acknowledged, and for about how long the oldest of it waits. Devices
// acknowledge about in the order of writing.
func (c *crier) unacknowledged(s longconn.Snapshot, now time.Time) (n uint64, oldest float64) {
	first := c.last[0]
	written, answered := s.Delivered-first.Delivered, s.Acked+s.Rejected-first.Acked-first.Rejected
	if answered >= written {
		return 0, 0
	}
	since := now
	for _, h := range slices.Backward(c.last) {
		if h.Delivered-first.Delivered <= answered {
			break
		}
		since = h.at
	}
	return written - answered, now.Sub(since).Seconds()
}
