package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redisstore"
)

// liveCmd looks after the nodes that hold devices' connections. It speaks to
// them through Redis, as they do to each other.
type liveCmd struct {
	Nodes liveNodesCmd `cmd:"" default:"withargs" help:"Show the nodes (the default)."`
	Drain liveDrainCmd `cmd:"" help:"Send a node's clients elsewhere, so many a second, and let nobody in: before it is stopped."`
	Fill  liveFillCmd  `cmd:"" help:"Let clients in again at a node that was drained."`
}

// nodeFlags find the Redis of an installation.
type nodeFlags struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"Configuration file that names Redis."`
	Data   string `default:"./data" type:"path" help:"Without --config: the data folder of herald dev."`
}

// open connects to what the nodes share. Whoever calls it calls done.
func (f nodeFlags) open() (nodes *routing.Redis, done func(), err error) {
	url := ""
	if f.Config != "" {
		c, err := loadConfig(f.Config, os.Environ())
		if err != nil {
			return nil, nil, err
		}
		url = c.Redis.URL
	} else {
		facts, err := readFacts(f.Data)
		if err != nil {
			return nil, nil, err
		}
		url = facts.Redis
	}
	rdb, err := redisstore.Connect(url)
	if err != nil {
		return nil, nil, err
	}
	return routing.NewRedis(rdb, routing.DefaultConfig()), func() { rdb.Close() }, nil //nolint:errcheck // nothing is left to lose
}

// saidWithin is within what time a node must have said how it is, to be shown.
const saidWithin = time.Minute

type liveNodesCmd struct {
	nodeFlags
	formatFlag
}

func (l *liveNodesCmd) Run(ctx context.Context, std streams) error {
	shared, done, err := l.open()
	if err != nil {
		return err
	}
	defer done()
	nodes, err := shared.Nodes(ctx, saidWithin)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, n := range nodes {
		state := "open"
		if n.Draining {
			state = "draining"
		}
		rows = append(rows, []string{n.Name, state, fmt.Sprint(n.Sessions), time.Since(n.Seen).Round(time.Second).String() + " ago"})
	}
	return l.print(std.out, nodes, []string{"NODE", "STATE", "SESSIONS", "SEEN"}, rows)
}

type liveDrainCmd struct {
	nodeFlags
	Node      string `arg:"" help:"Name of the node: herald live nodes."`
	PerSecond int    `default:"500" help:"How many clients are sent away a second."`
}

func (l *liveDrainCmd) Run(ctx context.Context, std streams) error {
	if l.PerSecond < 1 {
		return errors.New("--per-second: must be 1 or more; herald live fill lets clients in again")
	}
	if err := l.ask(ctx, l.Node, l.PerSecond); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s sends %d clients a second elsewhere; herald live nodes shows how many are left\n", l.Node, l.PerSecond)
	return err
}

type liveFillCmd struct {
	nodeFlags
	Node string `arg:"" help:"Name of the node: herald live nodes."`
}

func (l *liveFillCmd) Run(ctx context.Context, std streams) error {
	if err := l.ask(ctx, l.Node, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s lets clients in again\n", l.Node)
	return err
}

func (f nodeFlags) ask(ctx context.Context, node string, rate int) error {
	shared, done, err := f.open()
	if err != nil {
		return err
	}
	defer done()
	heard, err := routing.Drain(ctx, shared, node, rate)
	if err == nil && !heard {
		err = fmt.Errorf("no node %q listens; herald live nodes shows those that do", node)
	}
	return err
}
