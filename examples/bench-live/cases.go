//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// warm is how many devices come in before memory is looked at first: what the
// first ones touch (code, pools, stacks) is not of each.
const warm = 500

// measureIdle brings as many devices into one process as it may have, and looks
// at its memory before and after.
func measureIdle(ctx context.Context, o options) ([]figure, error) {
	var ours, heap, before, theirs, rates, theirRates, cost, kernel []float64
	more := o.idle - warm
	err := withNode(ctx, o, func(n, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: n.addr, First: more, N: warm}); err != nil {
			return err
		}
		base, err := n.do(order{Do: "memory"})
		if err != nil {
			return err
		}
		slabs, used := slab(), cpu(n.cmd.Process.Pid)
		in, err := f.do(order{Do: "connect", Addr: n.addr, N: more})
		if err != nil {
			return err
		}
		used = cpu(n.cmd.Process.Pid) - used
		pause(ctx, 2*time.Second) // the last buffers go home
		kernel = append(kernel, (slab()-slabs)/float64(more))
		after, err := n.do(order{Do: "memory"})
		if err != nil {
			return err
		}
		if int(after["sessions"]) != o.idle {
			return errors.New("not all are in")
		}
		per := func(key string) float64 { return (after[key] - base[key]) / float64(more) }
		ours, heap = append(ours, per("rss")), append(heap, per("heap"))
		before = append(before, (after["before"]-base["rss"])/float64(more))
		rates = append(rates, float64(more)/in["seconds"])
		cost = append(cost, used.Seconds()*1e6/float64(more))
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = withBroker(ctx, func(b *broker, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: b.addr, Broker: true, First: more, N: warm}); err != nil {
			return err
		}
		base := rss(b.cmd.Process.Pid)
		in, err := f.do(order{Do: "connect", Addr: b.addr, Broker: true, N: more})
		if err != nil {
			return err
		}
		theirs = append(theirs, (rss(b.cmd.Process.Pid)-base)/float64(more))
		theirRates = append(theirRates, float64(more)/in["seconds"])
		return nil
	})
	return []figure{
		of("memory of an idle connection, authenticated, with inbox", "B", 512, ours, theirs),
		of("  of it on the heap", "B", 0, heap, nil),
		of("  before the collector ran", "B", 0, before, nil),
		of("  kernel slabs, both ends", "B", 0, kernel, nil),
		of("connects, each with a token checked", "1/s", 10_000, rates, theirRates),
		of("  processor time of the node for one", "us", 0, cost, nil),
	}, err
}

// measureTLS tells what TLS of the node's own adds.
func measureTLS(ctx context.Context, o options) ([]figure, error) {
	const devices = 3_000
	n, err := start(ctx, "node", "-transport", o.transport, "-secure")
	if err != nil {
		return nil, err
	}
	defer n.end()
	f, err := start(ctx, "fleet")
	if err != nil {
		return nil, err
	}
	defer f.end()
	if _, err := f.do(order{Do: "secure", Addr: n.addr, First: devices, N: 200}); err != nil {
		return nil, err
	}
	base, err := n.do(order{Do: "memory"})
	if err != nil {
		return nil, err
	}
	second, err := start(ctx, "fleet")
	if err != nil {
		return nil, err
	}
	defer second.end()
	in, err := second.do(order{Do: "secure", Addr: n.addr, N: devices})
	if err != nil {
		return nil, err
	}
	pause(ctx, time.Second)
	after, err := n.do(order{Do: "memory"})
	if err != nil {
		return nil, err
	}
	return []figure{
		of("memory of an idle connection with TLS of the node's own", "B", 0, []float64{(after["rss"] - base["rss"]) / devices}, nil),
		of("connects with TLS 1.3, handshake and token", "1/s", 0, []float64{devices / in["seconds"]}, nil),
	}, nil
}

// measureSingles sends single messages to 5,000 devices as fast as they are
// acknowledged.
func measureSingles(ctx context.Context, o options) ([]figure, error) {
	const devices, n = 5_000, 200_000
	var ours, theirs, cost []float64
	err := withNode(ctx, o, func(nd, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: nd.addr, N: devices}); err != nil {
			return err
		}
		for range o.runs {
			used := cpu(nd.cmd.Process.Pid)
			r, err := both(nd, order{Do: "singles", N: n, First: devices}, f, n)
			if err != nil {
				return err
			}
			ours = append(ours, n/r["seconds"])
			cost = append(cost, (cpu(nd.cmd.Process.Pid)-used).Seconds()*1e6/n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = withBroker(ctx, func(b *broker, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: b.addr, Broker: true, N: devices}); err != nil {
			return err
		}
		for range o.runs {
			if _, err := f.do(order{Do: "reset"}); err != nil {
				return err
			}
			r, err := f.do(order{Do: "publish", Addr: b.addr, N: n / 4, First: devices})
			if err != nil {
				return err
			}
			theirs = append(theirs, n/4/r["seconds"])
		}
		return nil
	})
	return []figure{
		of("single deliveries of 200 B, acknowledged", "1/s", 50_000, ours, theirs),
		of("  processor time of the node for one", "us", 0, cost, nil),
	}, err
}

// measureLatency publishes at a fixed rate, whatever becomes of it, and counts
// from when each message was due.
func measureLatency(ctx context.Context, o options) ([]figure, error) {
	devices := o.idle
	n := o.rate * o.seconds
	var p50, p99, p999, theirs50, theirs99 []float64
	err := withNode(ctx, o, func(nd, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: nd.addr, N: devices}); err != nil {
			return err
		}
		for range o.runs {
			r, err := both(nd, order{Do: "rate", N: n, First: devices, Rate: o.rate}, f, n)
			if err != nil {
				return err
			}
			p50, p99, p999 = append(p50, r["p50"]), append(p99, r["p99"]), append(p999, r["p999"])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = withBroker(ctx, func(b *broker, f *child) error {
		if _, err := f.do(order{Do: "connect", Addr: b.addr, Broker: true, N: devices}); err != nil {
			return err
		}
		for range o.runs {
			if _, err := f.do(order{Do: "reset"}); err != nil {
				return err
			}
			r, err := f.do(order{Do: "publish", Addr: b.addr, N: n, First: devices, Rate: o.rate})
			if err != nil {
				return err
			}
			theirs50, theirs99 = append(theirs50, r["p50"]), append(theirs99, r["p99"])
		}
		return nil
	})
	return []figure{
		of("publish to PUBACK, p50 (Mosquitto: publish to arrival)", "ms", 0, p50, theirs50),
		of("publish to PUBACK, p99 (Mosquitto: publish to arrival)", "ms", 20, p99, theirs99),
		of("publish to PUBACK, p99.9", "ms", 0, p999, nil),
	}, err
}

// both has a node send n messages to a fleet and returns what the node says.
func both(n *child, o order, f *child, count int) (map[string]float64, error) {
	if _, err := f.do(order{Do: "reset"}); err != nil {
		return nil, err
	}
	if err := f.tell(order{Do: "await", N: count}); err != nil {
		return nil, err
	}
	r, err := n.do(o)
	if err != nil {
		return nil, err
	}
	_, err = f.hear()
	return r, err
}

// measureBroadcast sends 200 bytes to devices on three processes.
func measureBroadcast(ctx context.Context, o options) ([]figure, error) {
	const processes = 3
	each := o.crowd / processes
	var ours, theirs []float64
	var nodes, fleets []*child
	defer func() {
		for i := range nodes {
			fleets[i].end()
			nodes[i].end()
		}
	}()
	for i := range processes {
		n, err := start(ctx, "node", "-transport", o.transport)
		if err != nil {
			return nil, err
		}
		f, err := start(ctx, "fleet")
		if err != nil {
			return nil, err
		}
		nodes, fleets = append(nodes, n), append(fleets, f)
		if _, err := f.do(order{Do: "connect", Addr: n.addr, First: i * each, N: each}); err != nil {
			return nil, err
		}
	}
	for range 2*o.runs + 1 {
		took, err := spread(fleets, each, func() error {
			for _, n := range nodes {
				if err := n.tell(order{Do: "broadcast"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			if _, err := n.hear(); err != nil {
				return nil, err
			}
		}
		ours = append(ours, took)
	}
	for i := range nodes {
		fleets[i].end()
		nodes[i].end()
	}
	nodes = nil
	theirs, err := brokersBroadcast(ctx, o, processes, each)
	return []figure{of("broadcast of 200 B to 50,000 over 3 processes", "s", 0.6, ours[1:], theirs)}, err
}

func brokersBroadcast(ctx context.Context, o options, processes, each int) (took []float64, err error) {
	var brokers []*broker
	var fleets, talkers []*child
	defer func() {
		for i := range fleets {
			fleets[i].end()
		}
		for i := range talkers {
			talkers[i].end()
		}
		for i := range brokers {
			brokers[i].end()
		}
	}()
	for i := range processes {
		b, err := startBroker(ctx)
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
		f, err := start(ctx, "fleet")
		if err != nil {
			return nil, err
		}
		fleets = append(fleets, f)
		talker, err := start(ctx, "fleet")
		if err != nil {
			return nil, err
		}
		talkers = append(talkers, talker)
		if _, err := f.do(order{Do: "connect", Addr: b.addr, Broker: true, First: i * each, N: each}); err != nil {
			return nil, err
		}
	}
	for range o.runs + 1 {
		one, err := spread(fleets, each, func() error {
			for i, t := range talkers {
				if err := t.tell(order{Do: "publish", Addr: brokers[i].addr, Broker: true, N: 1, First: 1}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, t := range talkers {
			if _, err := t.hear(); err != nil {
				return nil, err
			}
		}
		took = append(took, one)
	}
	return took[1:], nil
}

// spread says go and returns how long until the last device of every fleet has
// its message.
func spread(fleets []*child, each int, say func() error) (float64, error) {
	for _, f := range fleets {
		if _, err := f.do(order{Do: "reset"}); err != nil {
			return 0, err
		}
		if err := f.tell(order{Do: "await", N: each}); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	if err := say(); err != nil {
		return 0, err
	}
	var last float64
	for _, f := range fleets {
		r, err := f.hear()
		if err != nil {
			return 0, err
		}
		last = max(last, r.Values["last"])
	}
	return (last - float64(begin.UnixNano())) / 1e9, nil
}

func withNode(ctx context.Context, o options, do func(n, f *child) error) error {
	n, err := start(ctx, "node", "-transport", o.transport)
	if err != nil {
		return err
	}
	defer n.end()
	f, err := start(ctx, "fleet")
	if err != nil {
		return err
	}
	defer f.end()
	return do(n, f)
}

func withBroker(ctx context.Context, do func(b *broker, f *child) error) error {
	b, err := startBroker(ctx)
	if err != nil {
		return err
	}
	defer b.end()
	f, err := start(ctx, "fleet")
	if err != nil {
		return err
	}
	defer f.end()
	return do(b, f)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
