package sqlstore

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

var (
	errNobody = errors.New("the audience names nobody")
	errCursor = errors.New("the page begins behind a device that is not in the list")
)

// Page returns up to limit ids of the devices that to names, beginning behind
// the id after ("" for the first page). Fewer than limit ids are the last page.
//
// A list of devices keeps its order, without repeats and without those that are
// not there; everything else is ordered by id. A device that comes or goes
// between two pages may be missed; none comes twice.
func (s *Store) Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error) {
	if listed := listOf(to); len(listed) > 0 {
		ids, err := s.pageOfList(ctx, app, listed, after, limit)
		return ids, fail("page of app "+app, err)
	}
	if !database.Storable(to.User) || !database.Storable(to.Tag) || !database.Storable(after) {
		return nil, nil
	}

	if to.Filter != "" {
		ids, err := s.pageOfFilter(ctx, app, to, after, limit)
		return ids, fail("page of app "+app, err)
	}

	// Each query walks an index that has the ids in order.
	const (
		ofUser  = `SELECT id FROM devices WHERE app = $1 AND id > $2 AND user_id = $4 AND user_id <> '' ORDER BY id LIMIT $3`
		ofUsers = `SELECT id FROM devices WHERE app = $1 AND id > $2 AND user_id IN (SELECT value FROM json_each_text($4)) AND user_id <> '' ORDER BY id LIMIT $3`
		ofTag   = `SELECT device FROM device_tags WHERE app = $1 AND device > $2 AND tag = $4 ORDER BY device LIMIT $3`
		ofApp   = `SELECT id FROM devices WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3`
	)
	query, args := "", []any{app, after, limit}
	switch {
	case to.User != "":
		query, args = ofUser, append(args, to.User)
	case len(to.Users) > 0:
		query, args = ofUsers, append(args, database.List(to.Users))
	case to.Tag != "":
		query, args = ofTag, append(args, to.Tag)
	case to.All:
		query = ofApp
	default:
		return nil, fail("page of app "+app, errNobody)
	}
	ids, err := database.Collect(ctx, s.db.Read(), query, args, texts)
	return ids, fail("page of app "+app, err)
}

// Count returns how many devices to names at the moment.
func (s *Store) Count(ctx context.Context, app string, to push.Audience) (int, error) {
	const (
		ofList  = `SELECT count(*) FROM devices WHERE app = $1 AND id IN (SELECT value FROM json_each_text($2))`
		ofUsers = `SELECT count(*) FROM devices WHERE app = $1 AND user_id IN (SELECT value FROM json_each_text($2)) AND user_id <> ''`
		ofTags  = `SELECT count(*) FROM device_tags WHERE app = $1 AND tag IN (SELECT value FROM json_each_text($2))`
		ofApp   = `SELECT count(*) FROM devices WHERE app = $1`
	)
	if to.Filter != "" {
		n, err := s.countOfFilter(ctx, app, to)
		return n, fail("count of app "+app, err)
	}
	query, args := "", []any{app}
	switch listed := listOf(to); {
	case len(listed) > 0:
		query, args = ofList, append(args, database.List(listed))
	case to.User != "":
		query, args = ofUsers, append(args, database.List([]string{to.User}))
	case len(to.Users) > 0:
		query, args = ofUsers, append(args, database.List(to.Users))
	case to.Tag != "":
		query, args = ofTags, append(args, database.List([]string{to.Tag}))
	case to.All:
		query = ofApp
	default:
		return 0, fail("count of app "+app, errNobody)
	}
	var n int
	err := s.db.Read().QueryRow(ctx, query, args...).Scan(&n)
	return n, fail("count of app "+app, err)
}

func listOf(to push.Audience) []string {
	if to.Device != "" {
		return []string{to.Device}
	}
	return to.Devices
}

// pageOfList pages through a list by position, for its order is the caller's.
func (s *Store) pageOfList(ctx context.Context, app string, listed []string, after string, limit int) ([]string, error) {
	listed = withoutRepeats(listed)
	if after != "" {
		i := slices.Index(listed, after)
		if i < 0 {
			return nil, errCursor
		}
		listed = listed[i+1:]
	}
	var page []string
	for part := range slices.Chunk(listed, max(limit, 1)) {
		there, err := s.there(ctx, app, part)
		if err != nil {
			return nil, err
		}
		for _, id := range part {
			if len(page) < limit && there[id] {
				page = append(page, id)
			}
		}
		if len(page) >= limit {
			break
		}
	}
	return page, nil
}

// there says which of these devices exist.
func (s *Store) there(ctx context.Context, app string, ids []string) (map[string]bool, error) {
	const query = `SELECT id FROM devices WHERE app = $1 AND id IN (SELECT value FROM json_each_text($2))`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, database.List(ids)}, texts)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(found))
	for _, id := range found {
		there[id] = true
	}
	return there, nil
}

func withoutRepeats(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	once := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	return once
}
