package h2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// torturer is a server, on x/net's frames, that does at random whatever a
// server may: it answers late and out of order, refuses, resets, says goodbye in
// one step or two, changes its settings, and cuts the line. It knows which
// requests it has processed.
type torturer struct {
	mu   sync.Mutex
	seen map[string]int // x-id → times processed
}

func (s *torturer) process(id string) {
	s.mu.Lock()
	s.seen[id]++
	s.mu.Unlock()
}

// tortured is one of its connections.
type tortured struct {
	s     *torturer
	nc    net.Conn
	mu    sync.Mutex // of the writing half
	fr    *http2.Framer
	last  uint32 // highest stream that was processed
	leave bool   // streams above last are not looked at
	open  sync.WaitGroup
	ids   map[uint32]string
}

func (s *torturer) serve(nc net.Conn) {
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		_ = nc.Close()
		return
	}
	c := &tortured{s: s, nc: nc, fr: http2.NewFramer(nc, nc), ids: map[uint32]string{}}
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = c.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.RegularFields() {
				if field.Name == "x-id" {
					c.ids[f.StreamID] = field.Value
				}
			}
		case *http2.DataFrame:
			if n := f.Length; n > 0 {
				c.write(func() { _ = c.fr.WriteWindowUpdate(0, n) })
			}
			if f.StreamEnded() {
				c.decide(f.StreamID)
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.write(func() { _ = c.fr.WriteSettingsAck() })
			}
		}
	}
	c.open.Wait()
	_ = nc.Close()
}

func (c *tortured) write(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// decide plays one request's fate. Thousandths add up from the rarest.
func (c *tortured) decide(id uint32) {
	x := c.ids[id]
	delete(c.ids, id)
	if c.leave {
		return
	}
	switch lot := rand.IntN(1000); {
	case lot == 0 && rand.IntN(3) == 0: // the line is cut, whatever is under way
		_ = c.nc.Close()
	case lot < 4: // goodbye: neither this one nor those to come
		c.leave = true
		last := c.last
		if lot < 3 { // with a warning first
			c.write(func() { _ = c.fr.WriteGoAway(maxWindow, http2.ErrCodeNo, nil) })
		}
		c.write(func() { _ = c.fr.WriteGoAway(last, http2.ErrCodeNo, []byte("enough")) })
		go func() { // what was processed is still answered
			c.open.Wait()
			_ = c.nc.Close()
		}()
	case lot < 24:
		c.write(func() { _ = c.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) })
	case lot < 44: // processed, and nobody will know
		c.take(id, x)
		c.write(func() { _ = c.fr.WriteRSTStream(id, http2.ErrCodeInternal) })
	case lot < 49:
		table, streams := uint32(rand.IntN(3)*2000), uint32(20+rand.IntN(100))
		c.write(func() {
			_ = c.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: table},
				http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: streams})
		})
		c.take(id, x)
		c.answer(id)
	case lot < 200: // late, and so out of order
		c.take(id, x)
		c.open.Add(1)
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() {
			defer c.open.Done()
			c.answer(id)
		})
	default:
		c.take(id, x)
		c.answer(id)
	}
}

func (c *tortured) take(id uint32, x string) {
	c.last = max(c.last, id)
	c.s.process(x)
}

func (c *tortured) answer(id uint32) {
	c.write(func() { accept(c.fr, id) })
}

// outcomes are what the client was told, by request.
type outcomes struct {
	mu  sync.Mutex
	got map[string]string
}

// storm sends n requests, a few of which their callers give up.
func storm(t *testing.T, tr http.RoundTripper, url string, n int) *outcomes {
	o := &outcomes{got: make(map[string]string, n)}
	var next atomic.Int64
	var group sync.WaitGroup
	for range 300 {
		group.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				id := fmt.Sprint(i)
				err := once(t.Context(), tr, url, id, i%97 == 0)
				word := "unknown"
				switch {
				case err == nil:
					word = "answered"
				case errors.Is(err, ErrNotSent):
					word = "safe to retry"
				}
				o.mu.Lock()
				o.got[id] = word
				o.mu.Unlock()
			}
		})
	}
	group.Wait()
	return o
}

func once(ctx context.Context, tr http.RoundTripper, url, id string, hasty bool) error {
	if hasty {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("payload of "+id))
	if err != nil {
		return err
	}
	req.Header.Set("X-Id", id)
	res, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// agree holds what the client was told against what the server did.
func (o *outcomes) agree(t *testing.T, n int, seen map[string]int) {
	t.Helper()
	count := map[string]int{}
	for id, word := range o.got {
		count[word]++
		switch times := seen[id]; {
		case word == "answered" && times != 1:
			t.Errorf("request %s was answered and processed %d times", id, times)
		case word == "safe to retry" && times != 0:
			t.Errorf("request %s is said to be safe to retry and was processed %d times", id, times)
		case times > 1:
			t.Errorf("request %s, %s, was processed %d times", id, word, times)
		}
	}
	t.Logf("of %d: %v", n, count)
	if len(o.got) != n || count["answered"] < n*8/10 || count["unknown"] == 0 {
		t.Errorf("%d outcomes of %d: %v", len(o.got), n, count)
	}
}

func TestEveryRequestEndsInExactlyOneWay(t *testing.T) {
	s := &torturer{seen: map[string]int{}}
	url, tr := serveFrames(t, func(nc net.Conn) { go s.serve(nc) })
	const n = tortures
	o := storm(t, tr, url, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	o.agree(t, n, s.seen)
}

func TestEveryRequestToNodeEndsInExactlyOneWay(t *testing.T) {
	url, tr := startNode(t, map[string]any{"trouble": 0.02})
	const n = tortures / 10
	o := storm(t, tr, url, n)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/seen", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var seen map[string]int
	if err := json.NewDecoder(res.Body).Decode(&seen); err != nil {
		t.Fatal(err)
	}
	o.agree(t, n, seen)
}
