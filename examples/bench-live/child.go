//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// order is a line that a child is told, result the line that it answers with.
type order struct {
	Do      string   `json:"do"`
	Addr    string   `json:"addr,omitempty"`
	Addrs   []string `json:"addrs,omitempty"`
	Broker  bool     `json:"broker,omitempty"` // Mosquitto: subscribe, too
	First   int      `json:"first,omitempty"`
	N       int      `json:"n,omitempty"`
	Rate    int      `json:"rate,omitempty"`
	Seconds float64  `json:"seconds,omitempty"`
}

type result struct {
	Addr    string             `json:"addr,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"`
	Problem string             `json:"problem,omitempty"`
}

// answer serves orders until the parent hangs up.
func answer(do func(order) (map[string]float64, error)) error {
	in := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		var r result
		values, err := do(o)
		r.Values = values
		if err != nil {
			r.Problem = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return in.Err()
}

// child is a process of ours.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	addr string // of a node
}

func start(ctx context.Context, role string, more ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, append([]string{"-role", role}, more...)...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	r, err := c.hear()
	c.addr = r.Addr
	return c, err
}

func (c *child) tell(o order) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = c.in.Write(append(b, '\n'))
	return err
}

func (c *child) hear() (result, error) {
	var r result
	if !c.out.Scan() {
		return r, errors.New("a process of the bench ended")
	}
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		return r, err
	}
	if r.Problem != "" {
		return r, errors.New(r.Problem)
	}
	return r, nil
}

func (c *child) do(o order) (map[string]float64, error) {
	if err := c.tell(o); err != nil {
		return nil, err
	}
	r, err := c.hear()
	return r.Values, err
}

// end lets the child go.
func (c *child) end() {
	if c == nil {
		return
	}
	c.in.Close()
	_ = c.cmd.Wait() // what it was to say it has said
}

// broker is a Mosquitto.
type broker struct {
	cmd  *exec.Cmd
	addr string
	dir  string
}

func startBroker(ctx context.Context) (*broker, error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			return nil, fmt.Errorf("%w; apt-get install mosquitto", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	if err != nil {
		return nil, err
	}
	b := &broker{addr: l.Addr().String()}
	l.Close()
	if b.dir, err = os.MkdirTemp("", "bench-live-"); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(b.addr)
	conf := "listener " + port + " 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\nmax_queued_messages 100000\nset_tcp_nodelay true\n"
	file := filepath.Join(b.dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	b.cmd = exec.CommandContext(ctx, path, "-c", file)
	b.cmd.Stderr = os.Stderr
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", b.addr)
		if err == nil {
			return b, c.Close()
		}
		if time.Now().After(deadline) {
			b.end()
			return nil, fmt.Errorf("mosquitto does not listen: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *broker) end() {
	if b == nil {
		return
	}
	_ = b.cmd.Process.Kill() // it keeps nothing
	_ = b.cmd.Wait()
	_ = os.RemoveAll(b.dir)
}

// rss is the resident memory of a process in bytes.
func rss(pid int) float64 {
	return status(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
}

// slab is the kernel's own memory in bytes.
func slab() float64 { return status("/proc/meminfo", "Slab:") }

func status(file, key string) float64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

// cpu is the processor time of a process so far.
func cpu(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
