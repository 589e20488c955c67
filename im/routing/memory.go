package routing

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
)

// Memory is a [Registry] and [Link] for nodes that live in one process.
type Memory struct {
	mu     sync.Mutex
	places map[digest]spot
	users  map[Device]map[string]spot // Device names a user here; by the user's devices
	nodes  []process
	seed1  maphash.Seed
	seed2  maphash.Seed
	leases map[string]lease
	ears   map[string]func([]byte)
	epoch  uint64
	known  map[string]Node
}

// digest stands for a device: 128 bits, seeded anew in each process, of which
// no two devices have the same.
type digest [2]uint64

func (m *Memory) digest(d Device) digest {
	var h maphash.Hash
	h.SetSeed(m.seed1)
	write := func() {
		h.WriteString(d.App)
		h.WriteByte(0)
		h.WriteString(d.Device)
	}
	write()
	first := h.Sum64()
	h.SetSeed(m.seed2)
	write()
	return digest{first, h.Sum64()}
}

// spot is a device's place, kept small: a process has many devices.
type spot struct {
	serial, epoch uint64
	since         uint32 // Unix s
	at            uint32 // process, by number, from 1; 0 means nowhere
}

// process is a node's.
type process struct{ node, boot string }

func (m *Memory) place(s spot) im.Place {
	if s.at == 0 {
		return im.Place{}
	}
	at := m.nodes[s.at-1]
	return im.Place{Node: at.node, Boot: at.boot, Serial: s.serial, Epoch: s.epoch, Since: time.Unix(int64(s.since), 0).UTC()}
}

// number is that of a process.
func (m *Memory) number(node, boot string) uint32 {
	p := process{node, boot}
	i := slices.Index(m.nodes, p)
	if i < 0 {
		i = len(m.nodes)
		m.nodes = append(m.nodes, p)
	}
	return uint32(i + 1)
}

type lease struct {
	boot string
	ends time.Time
}

// NewMemory returns an empty one.
func NewMemory() *Memory {
	return &Memory{places: map[digest]spot{}, users: map[Device]map[string]spot{}, seed1: maphash.MakeSeed(), seed2: maphash.MakeSeed(), leases: map[string]lease{}, ears: map[string]func([]byte){}}
}

// Enter implements [Registry].
func (m *Memory) Enter(_ context.Context, entries []Entry) ([]Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	outcomes := make([]Outcome, len(entries))
	for i, e := range entries {
		key := m.digest(e.Device)
		was, ok := m.places[key]
		old := m.place(was)
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
			m.places[key] = spot{e.Serial, m.epoch, uint32(e.Since.Unix()), m.number(e.Node, e.Boot)}
		}
		if (o.Result == Entered || o.Result == Known) && e.User != "" {
			m.own(e, m.places[key])
		}
		outcomes[i] = o
	}
	return outcomes, nil
}

// own notes that a device is its user's.
func (m *Memory) own(e Entry, s spot) {
	user := Device{e.App, e.User}
	if m.users[user] == nil {
		m.users[user] = map[string]spot{}
	}
	m.users[user][e.Device.Device] = s
}

// disown takes the note back if it is of that session.
func (m *Memory) disown(e Entry) {
	user := Device{e.App, e.User}
	devices := m.users[user]
	if p := m.place(devices[e.Device.Device]); p.Node != e.Node || p.Boot != e.Boot || p.Serial != e.Serial {
		return
	}
	if delete(devices, e.Device.Device); len(devices) == 0 {
		delete(m.users, user)
	}
}

// Leave implements [Registry].
func (m *Memory) Leave(_ context.Context, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		key := m.digest(e.Device)
		if p := m.place(m.places[key]); p.Node == e.Node && p.Boot == e.Boot && p.Serial == e.Serial {
			delete(m.places, key)
		}
		m.disown(e)
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
		if p := m.place(m.places[m.digest(d)]); m.alive(p, now) {
			places[i] = p
		}
	}
	return places, nil
}

// alive tells whether a place's process has its lease.
func (m *Memory) alive(p im.Place, now time.Time) bool {
	l := m.leases[p.Node]
	return l.boot == p.Boot && now.Before(l.ends)
}

// Users implements [Registry].
func (m *Memory) Users(_ context.Context, app string, users []string) ([][]Located, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make([][]Located, len(users))
	now := time.Now()
	for i, user := range users {
		for device, s := range m.users[Device{app, user}] {
			if p := m.place(s); m.alive(p, now) {
				found[i] = append(found[i], Located{device, p})
			}
		}
	}
	return found, nil
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

// Describe implements [Registry].
func (m *Memory) Describe(_ context.Context, n Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]Node{}
	}
	m.known[n.Name] = n
	return nil
}

// Nodes implements [Registry].
func (m *Memory) Nodes(_ context.Context, within time.Duration) ([]Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return recent(slices.Collect(maps.Values(m.known)), within), nil
}

// recent keeps the nodes that were seen within a time, in the order of names.
func recent(nodes []Node, within time.Duration) []Node {
	oldest := time.Now().Add(-within)
	nodes = slices.DeleteFunc(nodes, func(n Node) bool { return n.Seen.Before(oldest) })
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
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
