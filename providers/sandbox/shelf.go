package sandbox

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// Message is one message on one device.
type Message struct {
	Vendor   string            `json:"vendor"`
	Token    string            `json:"token"`
	ID       string            `json:"id"`                 // the vendor's id for it
	Collapse string            `json:"collapse,omitempty"` // a later one with the same replaces it
	Title    string            `json:"title,omitempty"`
	Body     string            `json:"body,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
	At       time.Time         `json:"at"`
	// Times is how often it came: 1, and one more for each that replaced it.
	Times int `json:"times"`
}

// record is a message as it came; it is read only if somebody asks.
type record struct {
	token, id, collapse string
	payload             []byte
	read                func(payload []byte, m *Message)
	at                  time.Time
	times               int
}

func (r *record) message(vendor string) Message {
	m := Message{Vendor: vendor, Token: r.token, ID: r.id, Collapse: r.collapse, At: r.at, Times: r.times}
	r.read(r.payload, &m)
	return m
}

// recent is how many of a vendor's messages are kept whichever device they are for.
const recent = 256

// shelf is what a vendor's devices show. It keeps the newest few of each
// device, for so many devices, so that a broadcast of millions cannot fill the
// memory.
type shelf struct {
	perDevice, perShard int
	seed                maphash.Seed
	shards              [64]shard

	mu   sync.Mutex
	last [recent]record
	next int
}

type shard struct {
	mu      sync.Mutex
	devices map[string]*device
}

type device struct {
	received int
	shows    []record // oldest first
}

func newShelf(perDevice, devices int) *shelf {
	s := &shelf{perDevice: perDevice, seed: maphash.MakeSeed()}
	s.perShard = max(devices/len(s.shards), 1)
	s.reset()
	return s
}

func (s *shelf) shard(token string) *shard {
	return &s.shards[maphash.String(s.seed, token)%uint64(len(s.shards))]
}

// put shows a message and returns how often it has come.
func (s *shelf) put(r record) (times int) {
	sh := s.shard(r.token)
	sh.mu.Lock()
	d := sh.devices[r.token]
	if d == nil {
		if len(sh.devices) >= s.perShard {
			for token := range sh.devices { // any: Go's order is random enough
				delete(sh.devices, token)
				break
			}
		}
		d = &device{}
		sh.devices[r.token] = d
	}
	d.received++
	r.times = 1
	if r.collapse != "" {
		i := slices.IndexFunc(d.shows, func(o record) bool { return o.collapse == r.collapse })
		if i >= 0 {
			r.times += d.shows[i].times
			d.shows = slices.Delete(d.shows, i, i+1)
		}
	}
	if len(d.shows) >= s.perDevice {
		d.shows = slices.Delete(d.shows, 0, 1)
	}
	d.shows = append(d.shows, r)
	sh.mu.Unlock()

	s.mu.Lock()
	s.last[s.next%recent] = r
	s.next++
	s.mu.Unlock()
	return r.times
}

// device returns what a device has received and shows, newest last.
func (s *shelf) device(token string) (received int, shows []record) {
	sh := s.shard(token)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if d := sh.devices[token]; d != nil {
		return d.received, slices.Clone(d.shows)
	}
	return 0, nil
}

// newest returns at most limit messages of all devices, newest first.
func (s *shelf) newest(limit int) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rs []record
	for i := s.next - 1; i >= 0 && i >= s.next-recent && len(rs) < limit; i-- {
		rs = append(rs, s.last[i%recent])
	}
	return rs
}

func (s *shelf) reset() {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		s.shards[i].devices = make(map[string]*device)
		s.shards[i].mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.next = [recent]record{}, 0
}

// stringsOf keeps the members of a JSON object that are strings.
func stringsOf(fields map[string]json.RawMessage) map[string]string {
	data := make(map[string]string, len(fields))
	for key, raw := range fields {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			data[key] = s
		}
	}
	return data
}
