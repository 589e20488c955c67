package analytics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/herald-push/herald/push"
)

// ErrFull says that the spool has reached its bound because ClickHouse has not
// taken anything for too long. The receipt is not recorded.
var ErrFull = errors.New("the spool is full")

// SpoolConfig shapes a spool. Start from [DefaultSpoolConfig].
type SpoolConfig struct {
	// Dir is the folder of the segments; one process at a time.
	Dir string
	// MaxBytes bounds the folder. A receipt takes about 200 bytes. Default
	// 4 GiB; beyond it Record returns [ErrFull].
	MaxBytes int64
	// SegmentRows and SegmentBytes end a segment, which is one batch for
	// ClickHouse. Default 10,000 rows or 8 MiB.
	SegmentRows  int
	SegmentBytes int64
}

// DefaultSpoolConfig is the spool of a process that keeps it in dir.
func DefaultSpoolConfig(dir string) SpoolConfig {
	return SpoolConfig{Dir: dir, MaxBytes: 4 << 30, SegmentRows: 10_000, SegmentBytes: 8 << 20}
}

// Spool keeps receipts on local disk until ClickHouse has them. It is safe for
// concurrent use.
type Spool struct {
	config SpoolConfig
	log    *slog.Logger
	lock   *os.File
	now    func() time.Time

	mu         sync.Mutex
	open       *segment   // being written; nil until there is something to write
	sealed     []*segment // wait for ClickHouse, oldest first
	group      *group     // gathers callers while a write is under way
	spare      []byte     // the frame of an earlier group, to be used again
	writing    bool
	sealWanted bool // seal after the write that is under way
	closed     bool
	bytes      int64 // of all segments
	recorded   uint64
	refused    uint64

	news chan struct{} // holds one token when there may be something to send
}

// group is the receipts of callers who share one write.
type group struct {
	frame []byte
	rows  int
	lead  chan struct{} // holds one token for the caller who is to write
	done  chan struct{} // closed when err is known
	err   error
}

// newGroup makes a group that builds its frame in buffer, if that is any good.
func newGroup(buffer []byte) *group {
	if cap(buffer) < frameHeader || cap(buffer) > maxSpare {
		buffer = make([]byte, 4096)
	}
	return &group{
		frame: buffer[:frameHeader],
		lead:  make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
}

// maxSpare is the largest buffer in bytes that is kept for the next group.
const maxSpare = 1 << 20

// OpenSpool opens the spool in config.Dir, which it creates, with all that an
// earlier process left there. It fails if another process has it open.
func OpenSpool(config SpoolConfig, log *slog.Logger) (*Spool, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("analytics: make the spool's folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(config.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("analytics: open the spool's lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("analytics: another process has the spool %s: %w", config.Dir, err)
	}
	sealed, err := findSegments(config.Dir)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("analytics: list the spool: %w", err)
	}
	s := &Spool{
		config: config, log: log, lock: lock, now: time.Now,
		sealed: sealed, group: newGroup(nil), news: make(chan struct{}, 1),
	}
	for _, old := range sealed {
		s.bytes += old.size
	}
	return s, nil
}

// Record returns when the receipts are written to the operating system: they
// survive the death of the process, by kill -9 too, though not that of the
// machine. Concurrent callers share a write. Either all of rs are recorded or
// none. ctx carries no deadline here: a write takes microseconds.
//
// It returns [ErrFull] if the spool's bound is reached, or the error of the
// disk.
func (s *Spool) Record(_ context.Context, rs ...push.Receipt) error {
	if len(rs) == 0 {
		return nil
	}
	now := s.now()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.New("analytics: the spool is closed")
	}
	if s.bytes >= s.config.MaxBytes {
		s.refused += uint64(len(rs))
		s.mu.Unlock()
		return fmt.Errorf("analytics: %w: %d bytes wait for ClickHouse", ErrFull, s.config.MaxBytes)
	}
	g := s.group
	for _, r := range rs {
		tidy(&r, now)
		g.frame = appendReceipt(g.frame, &r)
	}
	g.rows += len(rs)
	if s.writing {
		s.mu.Unlock()
		select {
		case <-g.done:
			return g.err
		case <-g.lead:
			s.mu.Lock()
		}
	}
	return s.writeGroup(g)
}

// writeGroup writes g and makes a caller of the next group its writer. It is
// called with mu held and returns without it.
func (s *Spool) writeGroup(g *group) error {
	s.writing = true
	s.group, s.spare = newGroup(s.spare), nil
	seg, err := s.segment()
	s.mu.Unlock()

	if err == nil {
		finishFrame(g.frame)
		err = seg.write(g.frame)
	}

	s.mu.Lock()
	if err == nil {
		s.wrote(seg, g)
	} else {
		g.err = fmt.Errorf("analytics: write the spool: %w", err)
		s.refused += uint64(g.rows)
	}
	if seg != nil && (s.sealWanted || seg.torn || seg.rows >= s.config.SegmentRows || seg.size >= s.config.SegmentBytes) {
		s.seal()
	}
	s.spare, g.frame = g.frame, nil
	s.writing = s.group.rows > 0
	if s.writing {
		s.group.lead <- struct{}{}
	}
	s.mu.Unlock()
	close(g.done)
	return g.err
}

// segment returns the segment to write to.
func (s *Spool) segment() (*segment, error) {
	if s.open != nil {
		return s.open, nil
	}
	seg, err := newSegment(s.config.Dir, s.now())
	if err != nil {
		return nil, err
	}
	s.open = seg
	s.bytes += seg.size
	return seg, nil
}

// wrote notes a frame that is in the file.
func (s *Spool) wrote(seg *segment, g *group) {
	seg.rows += g.rows
	s.recorded += uint64(g.rows)
	s.bytes += int64(len(g.frame))
	if seg.rows == g.rows {
		s.tell() // the first of the segment starts the clock
	}
}

// seal ends the open segment and puts it up for sending.
func (s *Spool) seal() {
	s.sealWanted = false
	if s.open == nil {
		return
	}
	if err := s.open.seal(); err != nil {
		s.log.Error("spool segment did not close", "segment", s.open.path, "err", err)
	}
	s.sealed = append(s.sealed, s.open)
	s.open = nil
	s.tell()
}

func (s *Spool) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// next returns the oldest segment to be sent, the same one until it
// is forgotten. It waits for a full one, or for one that is flushEvery
// old, until ctx ends.
func (s *Spool) next(ctx context.Context, flushEvery time.Duration) (*segment, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seg, wait := s.oldest(flushEvery)
		if seg != nil {
			return seg, nil
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-s.news:
		case <-timer:
		}
	}
}

// oldest returns a sealed segment, or how long until the open one is due; 0 if
// there is none.
func (s *Spool) oldest(flushEvery time.Duration) (*segment, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sealed) == 0 && s.open != nil && s.open.rows > 0 {
		wait := flushEvery - s.now().Sub(s.open.born)
		switch {
		case wait > 0:
			return nil, wait
		case s.writing:
			s.sealWanted = true // the writer will tell
			return nil, 0
		default:
			s.seal()
		}
	}
	if len(s.sealed) == 0 {
		return nil, 0
	}
	return s.sealed[0], 0
}

// forget removes a segment that ClickHouse has, or that cannot be read.
func (s *Spool) forget(seg *segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sealed) > 0 && s.sealed[0] == seg {
		s.sealed = s.sealed[1:]
		s.bytes -= seg.size
	}
	if err := os.Remove(seg.path); err != nil {
		// It will be sent once more by the next process, under the same token.
		return fmt.Errorf("analytics: remove a sent segment: %w", err)
	}
	return nil
}

// SpoolStatus is how much waits for ClickHouse.
type SpoolStatus struct {
	Bytes    int64     `json:"bytes"`
	MaxBytes int64     `json:"max_bytes"`
	Segments int       `json:"segments"`
	Oldest   time.Time `json:"oldest,omitzero"` // when the oldest segment was begun
	Recorded uint64    `json:"recorded"`        // receipts since the process started
	Refused  uint64    `json:"refused"`         // receipts lost to a full or failing disk
}

// Status says how much waits for ClickHouse.
func (s *Spool) Status() SpoolStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SpoolStatus{Bytes: s.bytes, MaxBytes: s.config.MaxBytes, Segments: len(s.sealed), Recorded: s.recorded, Refused: s.refused}
	if s.open != nil {
		st.Segments++
		st.Oldest = s.open.born
	}
	if len(s.sealed) > 0 {
		st.Oldest = s.sealed[0].born
	}
	return st
}

// Close ends the spool. What it holds is there for the next process.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.open != nil && !s.writing {
		err = s.open.seal()
	}
	return errors.Join(err, s.lock.Close())
}
