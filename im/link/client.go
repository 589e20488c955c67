package link

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/herald-push/herald/im"
)

// Directory tells where logic nodes are.
type Directory interface {
	Announced(ctx context.Context) ([]string, error)
}

// Client leads what devices say to the logic nodes.
type Client struct {
	cfg       Config
	directory Directory
	creds     credentials.TransportCredentials
	log       *slog.Logger

	mu    sync.Mutex
	peers map[string]*peer
}

// NewClient returns one. secret is the installation's sealing key.
func NewClient(cfg Config, secret []byte, directory Directory, log *slog.Logger) (*Client, error) {
	id, err := identity(secret)
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, directory: directory, creds: credentials.NewTLS(id), log: log, peers: map[string]*peer{}}, nil
}

// look is how often the client looks for logic nodes.
const look = 500 * time.Millisecond

// Run keeps streams to the logic nodes until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		addrs, err := c.directory.Announced(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.Warn("im/link: nobody says where the logic nodes are; those that are known stay", "err", err)
			}
		} else {
			c.follow(ctx, addrs, &running)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// follow opens streams to new nodes and lets go of those that are gone.
func (c *Client) follow(ctx context.Context, addrs []string, running *sync.WaitGroup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, p := range c.peers {
		if !slices.Contains(addrs, addr) && !p.open() {
			p.end()
			delete(c.peers, addr)
		}
	}
	for _, addr := range addrs {
		if c.peers[addr] != nil {
			continue
		}
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(c.creds), grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
		if err != nil {
			c.log.Error("im/link: a logic node has no address to call", "node", addr, "err", err)
			continue
		}
		life, end := context.WithCancel(ctx)
		p := &peer{addr: addr, end: end}
		for range c.cfg.Streams {
			p.streams = append(p.streams, &stream{wake: make(chan struct{}, 1)})
		}
		c.peers[addr] = p
		running.Go(func() {
			defer conn.Close() //nolint:errcheck // nothing is left on it
			p.run(life, conn, c.log)
		})
	}
}

// peer is a logic node.
type peer struct {
	addr    string
	streams []*stream
	end     context.CancelFunc
}

func (p *peer) run(ctx context.Context, conn *grpc.ClientConn, log *slog.Logger) {
	var all sync.WaitGroup
	for _, s := range p.streams {
		all.Go(func() {
			const first, longest = 50 * time.Millisecond, 2 * time.Second
			pause := first
			for ctx.Err() == nil {
				began := time.Now()
				if err := s.run(ctx, conn); err != nil && ctx.Err() == nil {
					log.Debug("im/link: stream ended", "node", p.addr, "err", err)
				}
				if time.Since(began) > longest {
					pause = first
				}
				wait(ctx, pause)
				pause = min(2*pause, longest)
			}
		})
	}
	all.Wait()
}

// open tells whether anything leads to the node, be it only answers.
func (p *peer) open() bool { return slices.ContainsFunc(p.streams, (*stream).isOpen) }

// Say leads what a device said to the logic node of its user; see access.Chat.
func (c *Client) Say(ctx context.Context, who im.Session, payload []byte) (retry bool, err error) {
	o, err := c.do(ctx, &call{kind: itemSay, who: who, payload: payload})
	switch {
	case err != nil:
		return true, err
	case o == done:
		return false, nil
	default:
		return o == again, errNotTaken
	}
}

var errNotTaken = errors.New("im/link: the logic node did not take it")

// Acked tells that a device of a user took a frame. Where no logic node is
// there it is dropped: that costs a ring that was not needed.
func (c *Client) Acked(app, user, id string) {
	k := &call{kind: itemAcked, who: im.Session{App: app, User: user}, id: id}
	if s := c.pick(k.who); s != nil {
		_ = s.begin(k, make(chan outcome, 1))
	}
}

// do makes a call, at another node when one is lost.
func (c *Client) do(ctx context.Context, k *call) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	for {
		if s := c.pick(k.who); s != nil {
			answer := make(chan outcome, 1)
			if s.begin(k, answer) {
				select {
				case o, ok := <-answer:
					if ok {
						return o, nil
					}
				case <-ctx.Done():
				}
			}
		}
		if ctx.Err() != nil {
			return again, fmt.Errorf("im/link: no logic node answered: %w: %w", im.ErrAway, ctx.Err())
		}
		wait(ctx, 20*time.Millisecond)
	}
}

// pick is a stream to the node that a user's devices are led to: of all that are
// there the one whose name goes best with the user's. When a node comes or goes
// only its own users move.
func (c *Client) pick(who im.Session) *stream {
	name := who.User
	if name == "" {
		name = who.Device
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var best *stream
	var top uint64
	for addr, p := range c.peers {
		h := fnv.New64a()
		for _, part := range []string{addr, "\x00", who.App, "\x00", name} {
			_, _ = h.Write([]byte(part)) // never fails
		}
		score := mix(h.Sum64())
		if best != nil && score <= top {
			continue
		}
		if s := p.streams[score%uint64(len(p.streams))]; s.up() {
			best, top = s, score
		}
	}
	return best
}

// mix spreads what FNV leaves close together.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
