package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/sqlstore"
	geo "github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// eraseCmd removes a person from every store, and proves it.
type eraseCmd struct {
	formatFlag
	personFlags
	User   string `arg:"" help:"The app's id of the person."`
	App    string `default:"demo" help:"The app."`
	DryRun bool   `help:"Only say what there is."`

	Devices []string `placeholder:"ID" help:"Devices that were theirs and whose rows are gone already."`
}

func (e *eraseCmd) Run(ctx context.Context, std streams) error {
	places, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer places.close()
	found, err := places.erase(ctx, e.App, e.User, e.Devices, e.DryRun)
	if err != nil {
		return err
	}
	left, faults := 0, 0
	var rows [][]string
	for _, f := range found {
		rows = append(rows, []string{f.Store, f.What, strconv.Itoa(f.Found), strconv.Itoa(f.Left), f.Fault})
		left += f.Left
		if f.Fault != "" {
			faults++
		}
	}
	if err := e.print(std.out, found, []string{"STORE", "WHAT", "FOUND", "LEFT", "FAULT"}, rows); err != nil {
		return err
	}
	switch {
	case e.DryRun:
		return nil
	case left > 0 || faults > 0:
		return fmt.Errorf("user %s of app %s is not erased everywhere: see LEFT and FAULT, then do it again", e.User, e.App)
	default:
		_, err = fmt.Fprintf(std.err, "User %s of app %s is erased; a second look found nothing.\n", e.User, e.App)
		return err
	}
}

// personFlags say where the stores are.
type personFlags struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"Configuration file that names the stores."`
	Data   string `default:"./data" type:"path" help:"Without --config: the data folder of a running herald dev."`
}

// open opens the stores. Whoever calls it closes them.
func (f personFlags) open(ctx context.Context) (*places, error) {
	c, err := f.config()
	if err != nil {
		return nil, err
	}
	return openPlaces(ctx, c)
}

// config is that of the file, or of the herald dev that last ran on the folder.
func (f personFlags) config() (Config, error) {
	if f.Config != "" {
		return loadConfig(f.Config, os.Environ())
	}
	facts, err := readFacts(f.Data)
	if err != nil {
		return Config{}, err
	}
	c := devConfig(f.Data)
	c.Redis.URL, c.ClickHouse.URL = facts.Redis, facts.ClickHouse
	return c, nil
}

// places are the stores that know people.
type places struct {
	sql    *sqlstore.Store
	chat   *data.Store
	redis  redis.UniversalClient
	record *analytics.Store // nil without ClickHouse
	spool  string           // the folder of this machine's
}

func openPlaces(ctx context.Context, c Config) (p *places, err error) {
	keys, err := c.Sealing.open()
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	p = &places{spool: filepath.Join(c.Data, "spool")}
	taken := p
	defer func() {
		if err != nil {
			taken.close()
		}
	}()
	if p.sql, err = sqlstore.Open(ctx, c.Database.URL, keys, quiet); err != nil {
		return nil, err
	}
	if p.chat, err = data.Open(ctx, c.IM.url(c.Database.URL), c.IM.Data, quiet); err != nil {
		return nil, err
	}
	if p.redis, err = redisstore.Connect(c.Redis.URL); err != nil {
		return nil, err
	}
	if c.ClickHouse.URL != "" {
		p.record, err = c.ClickHouse.open(ctx)
	}
	return p, err
}

func (p *places) close() {
	if p.sql != nil {
		_ = p.sql.Close() // what was done is done
	}
	if p.chat != nil {
		_ = p.chat.Close()
	}
	if p.redis != nil {
		_ = p.redis.Close()
	}
	if p.record != nil {
		_ = p.record.Close()
	}
}

// erase looks for a person in every place, removes what it finds, and looks
// again. The devices' rows go last: they lead to all the rest, so that an
// erasure that broke off is done again from the beginning.
func (p *places) erase(ctx context.Context, app, user string, known []string, dry bool) ([]push.ErasedPart, error) {
	if user == "" {
		return nil, errors.New("user: is missing")
	}
	rows, err := p.sql.OfUser(ctx, app, user)
	if err != nil {
		return nil, err
	}
	own := len(rows.Devices)
	rows.Devices = union(rows.Devices, known)
	before := p.look(ctx, app, user, rows)
	before[0].Found = own
	if dry {
		return before, nil
	}
	if err := p.remove(ctx, app, user, rows.Devices, before); err != nil {
		return nil, err
	}
	left, err := p.sql.OfUser(ctx, app, user)
	if err != nil {
		return nil, err
	}
	// The second look goes by the devices of the first: their rows are gone.
	counts := left
	counts.Devices = rows.Devices
	after := p.look(ctx, app, user, counts)
	for i := range before {
		before[i].Left = after[i].Found
		if before[i].What == "devices" {
			before[i].Left = len(left.Devices)
		}
		if after[i].Fault != "" {
			before[i].Fault = after[i].Fault
		}
	}
	return before, nil
}

// look counts what there is; a place that cannot be looked into is a fault.
func (p *places) look(ctx context.Context, app, user string, rows sqlstore.Erased) []push.ErasedPart {
	found := []push.ErasedPart{
		{Store: "sql", What: "devices", Found: len(rows.Devices)},
		{Store: "sql", What: "addresses", Found: rows.Addresses},
		{Store: "sql", What: "tags", Found: rows.Tags},
		{Store: "sql", What: "what the user has said", Found: rows.User},
	}
	add := func(store, what string, n int, err error) {
		e := push.ErasedPart{Store: store, What: what, Found: n}
		if err != nil {
			e.Fault = err.Error()
		}
		found = append(found, e)
	}
	chat, err := p.chat.OfUser(ctx, app, user)
	add("chat", "messages", chat.Messages, err)
	add("chat", "memberships, reactions, friends, blocks", chat.Memberships+chat.Reactions+chat.Friends+chat.Blocks+chat.User, err)
	keys, err := redisstore.OfUser(ctx, p.redis, app, user, rows.Devices)
	add("redis", "caches, inboxes, caps", keys, err)
	known, err := geo.Known(ctx, p.redis, app, rows.Devices)
	add("redis", "positions", known, err)
	if p.record != nil {
		events, err := p.record.OfDevices(ctx, app, rows.Devices)
		add("clickhouse", "events", events, err)
	}
	waiting, err := analytics.SpoolOfDevices(p.spool, app, rows.Devices)
	if !errors.Is(err, fs.ErrNotExist) {
		add("spool", "events that wait", waiting, err)
	}
	return found
}

func (p *places) remove(ctx context.Context, app, user string, devices []string, before []push.ErasedPart) error {
	for _, f := range before {
		if f.Store != "spool" || f.Found == 0 {
			continue
		}
		// One that a process has open empties itself into ClickHouse; what is
		// not there yet the second look finds.
		if err := analytics.EraseFromSpool(p.spool, app, devices); err != nil && !errors.Is(err, analytics.ErrSpoolTaken) {
			return err
		}
	}
	if _, err := p.chat.EraseUser(ctx, app, user); err != nil {
		return err
	}
	if p.record != nil {
		if err := p.record.EraseDevices(ctx, app, devices); err != nil {
			return err
		}
	}
	if err := p.sql.EraseUser(ctx, app, user); err != nil {
		return err
	}
	if _, err := geo.Forget(ctx, p.redis, app, devices); err != nil {
		return err
	}
	_, err := redisstore.EraseUser(ctx, p.redis, app, user, devices)
	return err
}

// union is all ids, each once.
func union(ids, more []string) []string {
	all := slices.Concat(ids, more)
	slices.Sort(all)
	return slices.Compact(all)
}
