package analytics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// named are the tables that name devices; rollups do not.
var named = []string{"receipts", "sampled_receipts", "gateway_events"}

// OfDevices counts the events that name devices of an app.
func (s *Store) OfDevices(ctx context.Context, app string, devices []string) (n int, err error) {
	for _, table := range named {
		var found uint64
		err := s.conn.QueryRow(ctx, "SELECT count() FROM "+table+" WHERE app = {app:String} AND has({devices:Array(String)}, device)",
			clickhouse.Named("app", app), clickhouse.Named("devices", orderOf(devices))).Scan(&found)
		if err != nil {
			return 0, failed("count events of devices", err)
		}
		n += int(found)
	}
	return n, nil
}

// EraseDevices removes the events that name devices of an app, and returns when
// they are gone from every part. Rollups keep their numbers, which name nobody.
func (s *Store) EraseDevices(ctx context.Context, app string, devices []string) error {
	if len(devices) == 0 {
		return nil
	}
	// A mutation outlives the query, so its words are written out, not bound.
	list := ""
	for _, d := range devices {
		list += ", " + quoted(d)
	}
	for _, table := range named {
		err := s.conn.Exec(ctx, "ALTER TABLE "+s.parts(table)+" DELETE WHERE app = "+quoted(app)+" AND device IN ("+list[2:]+") SETTINGS mutations_sync = 2")
		if err != nil {
			return failed("erase devices", err)
		}
	}
	return nil
}

// ErrSpoolTaken says that a process has the spool open.
var ErrSpoolTaken = errors.New("another process has the spool")

// SpoolOfDevices counts the events of devices in a spool, whether a process has
// it open or not.
func SpoolOfDevices(dir, app string, devices []string) (n int, err error) {
	found, err := findSegments(dir)
	if err != nil {
		return 0, fmt.Errorf("analytics: list the spool: %w", err)
	}
	for _, seg := range found {
		b, err := os.ReadFile(seg.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // sent meanwhile
		}
		if err != nil {
			return n, fmt.Errorf("analytics: read a segment: %w", err)
		}
		rs, _, err := decodeSegment(b)
		if err != nil {
			continue // its process sets it aside and says so
		}
		for i := range rs {
			if rs[i].App == app && slices.Contains(devices, rs[i].Device) {
				n++
			}
		}
	}
	return n, nil
}

// EraseFromSpool removes the events of devices from a spool that no process has
// open. One that is open is [ErrSpoolTaken]: it sends what it has within
// seconds if ClickHouse is well.
func EraseFromSpool(dir, app string, devices []string) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("analytics: open the spool's lock: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("analytics: %s: %w", dir, ErrSpoolTaken)
	}
	found, err := findSegments(dir)
	if err != nil {
		return fmt.Errorf("analytics: list the spool: %w", err)
	}
	for _, seg := range found {
		if _, err := seg.keep(func(r *push.Receipt) bool { return r.App != app || !slices.Contains(devices, r.Device) }); err != nil {
			return fmt.Errorf("analytics: rewrite a segment: %w", err)
		}
	}
	return nil
}

// prune removes the events of apps that keep them for fewer days than the
// tables do. ClickHouse does it in its own time.
func (s *Store) prune(ctx context.Context, days map[string]int, now time.Time) error {
	for app, n := range days {
		until := now.UTC().AddDate(0, 0, -n).Format("2006-01-02 15:04:05")
		old := "app = " + quoted(app) + " AND accepted_at < toDateTime64('" + until + "', 3, 'UTC')"
		for _, table := range named {
			var found uint64
			if err := s.conn.QueryRow(ctx, "SELECT count() FROM "+table+" WHERE "+old).Scan(&found); err != nil {
				return failed("count what is too old", err)
			}
			if found == 0 {
				continue
			}
			if err := s.conn.Exec(ctx, "ALTER TABLE "+s.parts(table)+" DELETE WHERE "+old); err != nil {
				return failed("remove what is too old", err)
			}
		}
	}
	return nil
}
