package analytics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// SegmentInfo is one file of a spool.
type SegmentInfo struct {
	Name   string    `json:"name"`
	Born   time.Time `json:"born"`
	Bytes  int64     `json:"bytes"`
	Events int       `json:"events"`
	Torn   int       `json:"torn_bytes"` // at its end: a write that was under way when the process died
	Fault  string    `json:"fault"`      // why it cannot be read; "" if it can
	// First and Last are when its oldest and newest event reached Herald.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// SpoolReport is what a spool's folder holds.
type SpoolReport struct {
	Segments []SegmentInfo // oldest first; last those that were set aside
	Bytes    int64
	Events   int
	Oldest   time.Time // the oldest event that waits; zero if none does
}

// InspectSpool reads the folder of a spool, whether a process has it open or
// not, one segment at a time, and changes nothing. A segment that is sent
// meanwhile is left out.
func InspectSpool(dir string) (SpoolReport, error) {
	found, err := findSegments(dir)
	if err != nil {
		return SpoolReport{}, fmt.Errorf("analytics: read the spool: %w", err)
	}
	var report SpoolReport
	for _, seg := range found {
		info, err := seg.inspect()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		report.Segments = append(report.Segments, info)
		report.Bytes, report.Events = report.Bytes+info.Bytes, report.Events+info.Events
		if !info.First.IsZero() && (report.Oldest.IsZero() || info.First.Before(report.Oldest)) {
			report.Oldest = info.First
		}
	}
	bad, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix+".bad"))
	if err != nil {
		return report, fmt.Errorf("analytics: read the spool: %w", err)
	}
	for _, path := range bad {
		if info, err := os.Stat(path); err == nil {
			report.Segments = append(report.Segments, SegmentInfo{
				Name: filepath.Base(path), Born: info.ModTime(), Bytes: info.Size(), Fault: "set aside: it could not be read",
			})
		}
	}
	return report, nil
}

func (s *segment) inspect() (SegmentInfo, error) {
	info := SegmentInfo{Name: strings.TrimSuffix(filepath.Base(s.path), segmentSuffix), Born: s.born, Bytes: s.size}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return info, err
	}
	rs, torn, err := decodeSegment(b)
	info.Bytes, info.Events, info.Torn = int64(len(b)), len(rs), torn
	if err != nil {
		info.Fault = err.Error()
	}
	for i := range rs {
		at := rs[i].ReceivedAt
		if info.First.IsZero() || at.Before(info.First) {
			info.First = at
		}
		if at.After(info.Last) {
			info.Last = at
		}
	}
	return info, nil
}

// keep rewrites a segment that is not being written with the receipts that
// keeps says yes to. It returns how many are gone.
func (s *segment) keep(keeps func(*push.Receipt) bool) (gone int, err error) {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return 0, err
	}
	rs, _, err := decodeSegment(b)
	if err != nil {
		return 0, err
	}
	out := []byte(segmentMagic)
	frame := make([]byte, frameHeader)
	for i := range rs {
		if !keeps(&rs[i]) {
			gone++
			continue
		}
		frame = appendReceipt(frame, &rs[i])
	}
	if gone == 0 {
		return 0, nil
	}
	if len(frame) > frameHeader {
		finishFrame(frame)
		out = append(out, frame...)
	}
	temporary := s.path + ".new"
	if err := os.WriteFile(temporary, out, 0o600); err != nil {
		return 0, errors.Join(err, os.Remove(temporary))
	}
	return gone, os.Rename(temporary, s.path)
}
