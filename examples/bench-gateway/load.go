package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// target is something to ask over kept connections, by requests that are written
// beforehand but for a number. What the client costs is what two system calls
// cost: the two cores are for those that are measured.
type target struct {
	addr string
	// request is what connection c asks as its nth, appended to b.
	request func(b []byte, c, n int) []byte
	refused bool // answers of 4xx and 5xx are what is expected

	lines []*line
}

// line is one connection.
type line struct {
	nc  net.Conn
	in  *bufio.Reader
	out []byte
}

func (t *target) open() error {
	for len(t.lines) < conns {
		nc, err := net.Dial("tcp", t.addr) //nolint:noctx // loopback
		if err != nil {
			return err
		}
		t.lines = append(t.lines, &line{nc: nc, in: bufio.NewReaderSize(nc, 16<<10)})
	}
	return nil
}

// ask sends one request and reads its answer whole.
func (t *target) ask(c, n int) error {
	l := t.lines[c]
	l.out = t.request(l.out[:0], c, n)
	if _, err := l.nc.Write(l.out); err != nil {
		return err
	}
	_ = l.nc.SetReadDeadline(time.Now().Add(30 * time.Second)) // where it fails, reading does
	status, err := l.answer()
	if err == nil && status >= 400 && !t.refused {
		err = fmt.Errorf("%s answered %d", t.addr, status)
	}
	return err
}

var errAnswer = errors.New("an answer that is not HTTP as expected")

// answer reads one of HTTP/1.1 and throws its body away.
func (l *line) answer() (status int, err error) {
	length, chunked := 0, false
	for first := true; ; first = false {
		text, err := l.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text = bytes.TrimRight(text, "\r\n")
		switch name, value, _ := bytes.Cut(text, []byte(": ")); {
		case first:
			if len(text) < 12 {
				return 0, errAnswer
			}
			if status, err = strconv.Atoi(string(text[9:12])); err != nil {
				return 0, errAnswer
			}
		case len(text) == 0:
			if chunked {
				return status, l.chunks()
			}
			_, err := l.in.Discard(length)
			return status, err
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, errAnswer
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
}

func (l *line) chunks() error {
	for {
		text, err := l.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(bytes.TrimRight(text, "\r\n")), 16, 31)
		if err != nil {
			return errAnswer
		}
		if _, err := l.in.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

// pace asks so often a second for a time, and returns how long each answer took
// in milliseconds, sorted. Time counts from when a request was due if no
// connection was free then, so that who is slow pays for those who wait; and else
// from when it was sent, for a clock that wakes late is nobody's fault.
func (t *target) pace(ctx context.Context, rate int, d time.Duration) ([]float64, error) {
	if err := t.open(); err != nil {
		return nil, err
	}
	took := make([]float64, int(float64(rate)*d.Seconds()))
	begin := time.Now()
	var next atomic.Int64
	err := t.each(func(c int) error {
		for ctx.Err() == nil {
			n := int(next.Add(1)) - 1
			if n >= len(took) {
				return nil
			}
			from := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
			if wait := time.Until(from); wait > 0 {
				time.Sleep(wait)
				from = time.Now()
			}
			if err := t.ask(c, n); err != nil {
				return err
			}
			took[n] = float64(time.Since(from)) / float64(time.Millisecond)
		}
		return ctx.Err()
	})
	slices.Sort(took)
	return took, err
}

// flood asks on every connection as soon as the answer before has come, and
// returns how many came a second.
func (t *target) flood(ctx context.Context, d time.Duration) (float64, error) {
	if err := t.open(); err != nil {
		return 0, err
	}
	begin := time.Now()
	var count atomic.Int64
	err := t.each(func(c int) error {
		for n := 0; time.Since(begin) < d; n++ {
			if err := t.ask(c, int(count.Add(1))); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return float64(count.Load()) / time.Since(begin).Seconds(), err
}

// disturb asks so often a second, whatever becomes of it, until ctx ends. Who
// waits for an answer has a connection of its own.
func (t *target) disturb(ctx context.Context, rate int) error {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		all.Go(func() {
			nc, err := net.Dial("tcp", t.addr) //nolint:noctx // loopback
			if err != nil {
				return
			}
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { nc.Close() })()
			if _, err := nc.Write(t.request(nil, n%conns, n)); err == nil {
				_, _ = io.ReadAll(io.LimitReader(nc, 1)) // the first byte, or the end
			}
		})
	}
}

// each runs f for every connection, and returns the first error.
func (t *target) each(f func(c int) error) error {
	errs := make(chan error, conns)
	for c := range conns {
		go func() { errs <- f(c) }()
	}
	var first error
	for range conns {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// percentile reads a sorted list.
func percentile(sorted []float64, p float64) float64 {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
