package longconn

import "sync/atomic"

// Stats counts what a process's connections did since it started.
type Stats struct {
	open, accepted, opened                                atomic.Int64
	bytesIn, bytesOut, packetsIn                          atomic.Uint64
	delivered, acked, rejected, repeated, full, published atomic.Uint64
	collapsed, writes                                     atomic.Uint64
	closedBy                                              [causes]atomic.Uint64
}

// Snapshot is [Stats] at one moment.
type Snapshot struct {
	Open      int64 // connections, let in or not
	Sessions  int64 // connections let in
	Opened    int64 // connections ever
	BytesIn   uint64
	BytesOut  uint64
	PacketsIn uint64
	Delivered uint64            // messages written
	Acked     uint64            // of these, acknowledged
	Rejected  uint64            // of these, refused by the client
	Repeated  uint64            // messages not sent because the connection knew them
	Full      uint64            // messages refused for want of room
	Published uint64            // publications of clients
	Collapsed uint64            // messages whose place a newer one took
	Writes    uint64            // system calls that wrote
	Closed    map[string]uint64 // connections ended, by [Cause]
}

// Snapshot reads every counter.
func (s *Stats) Snapshot() Snapshot {
	out := Snapshot{
		Open: s.open.Load(), Sessions: s.accepted.Load(), Opened: s.opened.Load(),
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(), PacketsIn: s.packetsIn.Load(),
		Delivered: s.delivered.Load(), Acked: s.acked.Load(), Rejected: s.rejected.Load(),
		Repeated: s.repeated.Load(), Full: s.full.Load(), Published: s.published.Load(),
		Collapsed: s.collapsed.Load(), Writes: s.writes.Load(),
		Closed: make(map[string]uint64, causes),
	}
	for c := range causes {
		out.Closed[c.String()] = s.closedBy[c].Load()
	}
	return out
}
