package routing

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// Memory is a [Registry] and [Link] for nodes that live in one process.
type Memory struct {
	mu     sync.Mutex
	places map[Device]spot
	nodes  map[process]*process
	leases map[string]lease
	ears   map[string]func([]byte)
	epoch  uint64
}

// spot is a device's place, kept small: a process has many devices.
type spot struct {
	at            *process
	serial, epoch uint64
	since         int64 // Unix ms
}

// process is a node's.
type process struct{ node, boot string }

func (s spot) place() im.Place {
	if s.at == nil {
		return im.Place{}
	}
	return im.Place{Node: s.at.node, Boot: s.at.boot, Serial: s.serial, Epoch: s.epoch, Since: time.UnixMilli(s.since).UTC()}
}

// process is the one copy of a node's names.
func (m *Memory) process(node, boot string) *process {
	p := process{node, boot}
	if m.nodes[p] == nil {
		m.nodes[p] = &p
	}
	return m.nodes[p]
}

type lease struct {
	boot string
	ends time.Time
}

// NewMemory returns an empty one.
func NewMemory() *Memory {
	return &Memory{places: map[Device]spot{}, nodes: map[process]*process{}, leases: map[string]lease{}, ears: map[string]func([]byte){}}
}

// Enter implements [Registry].
func (m *Memory) Enter(_ context.Context, entries []Entry) ([]Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	outcomes := make([]Outcome, len(entries))
	for i, e := range entries {
		was, ok := m.places[e.Device]
		old := was.place()
		same := ok && old.Node == e.Node && old.Boot == e.Boot
		o := Outcome{Result: Entered, Before: old}
		switch {
		case same && old.Serial > e.Serial:
			o.Result = Stale
		case same && old.Serial == e.Serial:
			o.Result = Known
		case ok && old.Node != e.Node && e.Restore:
			o.Result = Held
		default:
			m.epoch++
			m.places[e.Device] = spot{m.process(e.Node, e.Boot), e.Serial, m.epoch, e.Since.UnixMilli()}
		}
		outcomes[i] = o
	}
	return outcomes, nil
}

// Leave implements [Registry].
func (m *Memory) Leave(_ context.Context, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if p := m.places[e.Device].place(); p.Node == e.Node && p.Boot == e.Boot && p.Serial == e.Serial {
			delete(m.places, e.Device)
		}
	}
	return nil
}

// Find implements [Registry].
func (m *Memory) Find(_ context.Context, devices []Device) ([]im.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	places := make([]im.Place, len(devices))
	now := time.Now()
	for i, d := range devices {
		p := m.places[d].place()
		if l := m.leases[p.Node]; l.boot == p.Boot && now.Before(l.ends) {
			places[i] = p
		}
	}
	return places, nil
}

// Renew implements [Registry].
func (m *Memory) Renew(_ context.Context, node, boot string, d time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	old := m.leases[node]
	m.leases[node] = lease{boot, now.Add(d)}
	return old.boot != boot || now.After(old.ends), nil
}

// Retire implements [Registry].
func (m *Memory) Retire(_ context.Context, node, boot string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases[node].boot == boot {
		delete(m.leases, node)
	}
	return nil
}

// Send implements [Link].
func (m *Memory) Send(_ context.Context, node string, frame []byte) (bool, error) {
	m.mu.Lock()
	ear := m.ears[node]
	m.mu.Unlock()
	if ear == nil {
		return false, nil
	}
	ear(slices.Clone(frame))
	return true, nil
}

// Listen implements [Link].
func (m *Memory) Listen(ctx context.Context, node string, receive func([]byte)) error {
	m.mu.Lock()
	m.ears[node] = receive
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	delete(m.ears, node)
	m.mu.Unlock()
	return nil
}
