package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// pageOfFilter is a page of the devices that an expression means, of all or of
// those that carry a tag. The condition is put together by package audience,
// from words of its own and parameters for all that the caller wrote.
func (s *Store) pageOfFilter(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error) {
	const (
		ofApp = `SELECT d.id FROM devices d WHERE d.app = $1 AND d.id > $2 AND `
		ofTag = `
			SELECT d.id FROM device_tags own JOIN devices d ON d.app = own.app AND d.id = own.device
			WHERE own.app = $1 AND own.device > $2 AND own.tag = $4 AND `
		end = ` ORDER BY 1 LIMIT $3`
	)
	begin, args := ofApp, []any{app, after, limit}
	if to.Tag != "" {
		begin, args = ofTag, append(args, to.Tag)
	}
	condition, more, err := conditionOf(to.Filter, len(args)+1)
	if err != nil {
		return nil, err
	}
	return database.Collect(ctx, s.db.Read().Once(), begin+condition+end, append(args, more...), texts)
}

// countOfFilter is how many devices pageOfFilter would find.
func (s *Store) countOfFilter(ctx context.Context, app string, to push.Audience) (n int, err error) {
	const (
		ofApp = `SELECT count(*) FROM devices d WHERE d.app = $1 AND `
		ofTag = `
			SELECT count(*) FROM device_tags own JOIN devices d ON d.app = own.app AND d.id = own.device
			WHERE own.app = $1 AND own.tag = $2 AND `
	)
	begin, args := ofApp, []any{app}
	if to.Tag != "" {
		begin, args = ofTag, append(args, to.Tag)
	}
	condition, more, err := conditionOf(to.Filter, len(args)+1)
	if err != nil {
		return 0, err
	}
	err = s.db.Read().Once().QueryRow(ctx, begin+condition, append(args, more...)...).Scan(&n)
	return n, err
}

func conditionOf(filter string, first int) (string, []any, error) {
	f, err := audience.Parse(filter)
	if err != nil {
		return "", nil, fmt.Errorf("filter: %w", err)
	}
	condition, args := f.SQL(first, time.Now())
	return condition, args, nil
}

// keyBatch is how many devices get their version keys in one statement.
const keyBatch = 1000

// makeKeys makes the version keys of devices that are older than the columns.
func (s *Store) makeKeys(ctx context.Context) error {
	const (
		find  = `SELECT app, id, os, app_version FROM devices WHERE app_version_key IS NULL LIMIT $1`
		write = `
			UPDATE devices SET os_key = k.value->>'os_key', app_version_key = k.value->>'app_version_key'
			FROM json_each($1) k WHERE devices.app = k.value->>'app' AND devices.id = k.value->>'id'`
	)
	type row struct {
		App     string `json:"app"`
		ID      string `json:"id"`
		OS      string `json:"os_key"`
		Version string `json:"app_version_key"`
	}
	for {
		rows, err := database.Collect(ctx, s.db.Read(), find, []any{keyBatch}, func(scan database.Scanner) (r row, err error) {
			err = scan(&r.App, &r.ID, &r.OS, &r.Version)
			r.OS, r.Version = audience.VersionKey(r.OS), audience.VersionKey(r.Version)
			return r, err
		})
		if err != nil {
			return fail("version keys", err)
		}
		if len(rows) == 0 {
			return nil
		}
		if _, err := s.exec(ctx, "version keys", write, asJSON(rows)); err != nil {
			return err
		}
	}
}
