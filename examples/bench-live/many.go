//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errTooSmall says that this machine cannot hold a case.
var errTooSmall = errors.New("the machine is too small")

// enough looks whether each process may have so many descriptors, and all
// together so many bytes.
func enough(descriptors uint64, memory float64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur < descriptors {
		return fmt.Errorf("%w: %d descriptors a process, of which %d are needed", errTooSmall, limit.Cur, descriptors)
	}
	if free := status("/proc/meminfo", "MemAvailable:"); free < memory {
		return fmt.Errorf("%w: %.1f GiB of memory are free, of which %.1f are needed", errTooSmall, free/(1<<30), memory/(1<<30))
	}
	return nil
}

// startRedis starts a Redis that keeps nothing.
func startRedis(ctx context.Context) (url string, end func(), err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, fmt.Errorf("%w; apt-get install redis-server", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	if err != nil {
		return "", nil, err
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() {
		_ = cmd.Process.Kill() // it keeps nothing
		_ = cmd.Wait()
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return "redis://" + addr, end, c.Close()
		}
		if time.Now().After(deadline) {
			end()
			return "", nil, fmt.Errorf("redis does not listen: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// town is nodes over one Redis, each with a fleet of devices.
type town struct {
	nodes, fleets []*child
	redis         string
	end           func()
}

func openTown(ctx context.Context, o options, n int, more ...string) (t *town, err error) {
	url, endRedis, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	t = &town{redis: url}
	t.end = func() {
		for _, c := range append(t.fleets, t.nodes...) {
			c.end()
		}
		endRedis()
	}
	for range n {
		nd, err := start(ctx, "node", append([]string{"-transport", o.transport, "-redis", url}, more...)...)
		if err != nil {
			t.end()
			return nil, err
		}
		t.nodes = append(t.nodes, nd)
		f, err := start(ctx, "fleet")
		if err != nil {
			t.end()
			return nil, err
		}
		t.fleets = append(t.fleets, f)
	}
	return t, nil
}

// all tells every fleet something and returns what they say.
func (t *town) all(o func(i int) order) ([]map[string]float64, error) {
	for i, f := range t.fleets {
		if err := f.tell(o(i)); err != nil {
			return nil, err
		}
	}
	var said []map[string]float64
	for _, f := range t.fleets {
		r, err := f.hear()
		if err != nil {
			return nil, err
		}
		said = append(said, r.Values)
	}
	return said, nil
}

// sum adds up what the nodes say of themselves.
func (t *town) sum() (map[string]float64, error) {
	total := map[string]float64{}
	for _, n := range t.nodes {
		m, err := n.do(order{Do: "memory"})
		if err != nil {
			return nil, err
		}
		for k, v := range m {
			total[k] += v
		}
	}
	return total, nil
}

// measureMany holds idle devices at eight nodes whose presence is in Redis.
func measureMany(ctx context.Context, o options) ([]figure, error) {
	const processes = 8
	each := o.many / processes
	if err := enough(uint64(each+200), float64(o.many)*14_000+1<<30); err != nil {
		return nil, err
	}
	t, err := openTown(ctx, o, processes)
	if err != nil {
		return nil, err
	}
	defer t.end()
	connect := func(first, n int) func(i int) order {
		return func(i int) order {
			return order{Do: "connect", Addr: t.nodes[i].addr, First: i*each + first, N: n}
		}
	}
	if _, err := t.all(connect(0, warm)); err != nil {
		return nil, err
	}
	base, err := t.sum()
	if err != nil {
		return nil, err
	}
	slabs, begin := slab(), time.Now()
	if _, err := t.all(connect(warm, each-warm)); err != nil {
		return nil, err
	}
	took := time.Since(begin).Seconds()
	pause(ctx, 3*time.Second)
	more := float64((each - warm) * processes)
	kernel := (slab() - slabs) / more
	after, err := t.sum()
	if err != nil {
		return nil, err
	}
	if int(after["sessions"]) != each*processes {
		return nil, fmt.Errorf("%.0f of %d are in", after["sessions"], each*processes)
	}
	name := strings.TrimSuffix(fmt.Sprintf("%d", o.many), "000") + ",000 idle connections over 8 processes, presence in Redis"
	return []figure{
		of(name+": memory of one", "B", 512, []float64{(after["rss"] - base["rss"]) / more}, nil),
		of("  of it on the heap", "B", 0, []float64{(after["heap"] - base["heap"]) / more}, nil),
		of("  kernel slabs, both ends", "B", 0, []float64{kernel}, nil),
		of("  connects, their presence recorded", "1/s", 0, []float64{more / took}, nil),
	}, nil
}

// measureStorm loses all connections at once and lets the devices come back.
func measureStorm(ctx context.Context, o options) ([]figure, error) {
	const processes = 3
	each := o.storm / processes
	if err := enough(uint64(each+200), float64(o.storm)*14_000+1<<30); err != nil {
		return nil, err
	}
	t, err := openTown(ctx, o, processes)
	if err != nil {
		return nil, err
	}
	defer t.end()
	connect := func(i int) order { return order{Do: "connect", Addr: t.nodes[i].addr, First: i * each, N: each} }
	if _, err := t.all(connect); err != nil {
		return nil, err
	}
	var took, reads []float64
	for range o.runs {
		before, err := t.sum()
		if err != nil {
			return nil, err
		}
		if _, err := t.all(func(int) order { return order{Do: "lose"} }); err != nil {
			return nil, err
		}
		back, err := t.all(connect)
		if err != nil {
			return nil, err
		}
		after, err := t.sum()
		if err != nil {
			return nil, err
		}
		most := 0.0
		for _, b := range back {
			most = max(most, b["most"])
		}
		took, reads = append(took, most), append(reads, after["reads"]-before["reads"])
	}
	return []figure{
		of(fmt.Sprintf("storm: 99 in 100 of %d devices are back", o.storm), "s", 15, took, nil),
		of("  database reads of it (asked: 0)", "", 0, reads, nil),
	}, nil
}

// withTalk opens a node that has the floors of messaging, and a fleet.
func withTalk(ctx context.Context, o options, devices int, do func(n, f *child) error) error {
	n, err := start(ctx, "node", "-transport", o.transport, "-talks")
	if err != nil {
		return err
	}
	defer n.end()
	f, err := start(ctx, "fleet")
	if err != nil {
		return err
	}
	defer f.end()
	if _, err := f.do(order{Do: "connect", Addr: n.addr, N: devices}); err != nil {
		return err
	}
	return do(n, f)
}

// measureTalk has people write to each other: each message is committed to SQLite
// and arrives at a device, which acknowledges it.
func measureTalk(ctx context.Context, o options) ([]figure, error) {
	const devices = 2_000
	n := o.rate * min(o.seconds, 3)
	var p50, p99, rates, cost []float64
	err := withTalk(ctx, o, devices, func(nd, f *child) error {
		run := func(rate, n int) (took float64, arrived map[string]float64, err error) {
			if _, err := f.do(order{Do: "reset"}); err != nil {
				return 0, nil, err
			}
			if err := f.tell(order{Do: "await", N: n, Seconds: 60}); err != nil {
				return 0, nil, err
			}
			begin := time.Now()
			if _, err := nd.do(order{Do: "talk", N: n, First: devices, Rate: rate}); err != nil {
				return 0, nil, err
			}
			r, err := f.hear()
			return (r.Values["last"] - float64(begin.UnixNano())) / 1e9, r.Values, err
		}
		if _, _, err := run(0, devices); err != nil { // the conversations are made
			return err
		}
		for range o.runs {
			used := cpu(nd.cmd.Process.Pid)
			took, _, err := run(0, n/2)
			if err != nil {
				return err
			}
			cost = append(cost, (cpu(nd.cmd.Process.Pid)-used).Seconds()*1e6/float64(n/2))
			rates = append(rates, float64(n/2)/took)
			_, arrived, err := run(o.rate, n)
			if err != nil {
				return err
			}
			p50, p99 = append(p50, arrived["p50"]), append(p99, arrived["p99"])
		}
		return nil
	})
	return []figure{
		of("messages from one to one, committed to SQLite and arrived", "1/s", 10_000, rates, nil),
		of("  processor time of the node for one", "us", 0, cost, nil),
		of(fmt.Sprintf("  said to arrived at %d a second, p50", o.rate), "ms", 0, p50, nil),
		of(fmt.Sprintf("  said to arrived at %d a second, p99", o.rate), "ms", 50, p99, nil),
	}, err
}

// measureCrowd says one thing in a group whose members are all online.
func measureCrowd(ctx context.Context, o options) ([]figure, error) {
	const members = 10_000
	var took []float64
	err := withTalk(ctx, o, members, func(nd, f *child) error {
		if _, err := nd.do(order{Do: "group", N: members}); err != nil {
			return err
		}
		for range o.runs + 1 { // the first reads who the members are
			one, err := spread([]*child{f}, members, func() error { _, err := nd.do(order{Do: "crowd"}); return err })
			if err != nil {
				return err
			}
			took = append(took, one*1000)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []figure{
		of("one message to a group of 10,000, all online", "ms", 500, took[1:], nil),
		of("  the first one, which reads who the members are", "ms", 0, took[:1], nil),
	}, nil
}
