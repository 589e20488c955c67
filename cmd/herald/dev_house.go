package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/demo"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/scheduler"
)

// demoApp is the app that `herald dev` begins with.
const demoApp = "demo"

// devHouse is Herald with everything that makes a first look worthwhile: an
// app with a key, vendors to play with, and devices.
type devHouse struct {
	cmd               *devCmd
	redis, clickhouse server
	log               *slog.Logger
	std               streams
	began             time.Time

	house *house
	box   *sandbox.Sandbox // nil without the sandbox
	facts facts
	notes []string
}

// Run waits for the servers, builds the house, tells where everything is and
// runs it all until ctx ends.
func (d *devHouse) Run(ctx context.Context) error {
	if err := d.waitForServers(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before it had begun
		}
		return err
	}
	door, err := d.build(ctx)
	if err != nil {
		return err
	}
	outside := []part{runFunc(d.announce)}
	if d.cmd.Demo {
		outside = append(outside, d.fleet())
	}
	var vendors []part
	if d.box != nil {
		vendors = append(vendors, named{"sandbox", d.box})
	}
	d.log.InfoContext(ctx, "herald is up", "version", version, "listen", door.Addr().String())
	return runStages(ctx, outside, []part{d.house}, vendors)
}

// waitForServers waits for Redis and ClickHouse together, as long as a slow
// machine may need to read their files.
func (d *devHouse) waitForServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range []*server{&d.redis, &d.clickhouse} {
		if s.ready != nil {
			group.Go(func() error { return s.ready(ctx) })
		}
		if s.Warning != "" {
			d.notes = append(d.notes, s.Warning)
		}
	}
	return group.Wait()
}

// build opens the ports and plugs everything together.
func (d *devHouse) build(ctx context.Context) (net.Listener, error) {
	door, err := d.open(ctx, "--listen", d.cmd.Listen, "127.0.0.1:8080")
	if err != nil {
		return nil, err
	}
	c := devConfig(d.cmd.Data)
	c.Gateway.Folder = d.cmd.Services
	c.Redis.URL, c.ClickHouse.URL = d.redis.URL, d.clickhouse.URL
	c.PublicURL = "http://" + reachable(door.Addr())
	if c.LongConn.TCPListener, err = d.open(ctx, "--mqtt", d.cmd.MQTT, "127.0.0.1:1883"); err != nil {
		return nil, err
	}
	if c.LongConn.WebSocketListener, err = d.open(ctx, "--websocket", d.cmd.WebSocket, "127.0.0.1:8083"); err != nil {
		return nil, err
	}
	if d.cmd.Sandbox {
		d.box, err = sandbox.New(sandbox.Config{Dir: filepath.Join(d.cmd.Data, "sandbox"), Log: d.log})
		if err != nil {
			return nil, err
		}
	}
	token := rand.Text()
	x := extras{
		LoginToken: token, Redis: d.redis.What, RedisNote: d.redis.Warning, ClickHouse: d.clickhouse.What,
		WebSocket: "ws://" + reachable(c.LongConn.WebSocketListener.Addr()) + "/mqtt",
	}
	if d.box != nil {
		x.Sandbox = d.box.ControlURL()
	}
	if d.house, err = build(ctx, c, door, x, d.log); err != nil {
		return nil, err
	}
	if d.redis.part != nil { // ours alone: whoever held a task before was killed
		if err := scheduler.Reclaim(ctx, d.house.redis); err != nil {
			return nil, err
		}
	}
	key, err := d.openDemoApp(ctx)
	if err != nil {
		return nil, err
	}
	if d.box != nil {
		for _, vendor := range []string{"huawei", "honor"} { // whose consoles say where receipts go
			d.box.ReportTo(vendor, c.PublicURL+"/v1/callbacks/"+vendor+"?app="+demoApp)
		}
	}
	d.facts = facts{
		URL:        "http://" + reachable(door.Addr()),
		APIKey:     key,
		MQTT:       "mqtt://" + reachable(d.house.conns.TCPAddr()),
		WebSocket:  x.WebSocket,
		Dashboard:  "http://" + reachable(door.Addr()) + "/login?token=" + token,
		Sandbox:    x.Sandbox,
		Data:       d.cmd.Data,
		Redis:      d.redis.URL,
		ClickHouse: d.clickhouse.URL,
	}
	return door, nil
}

// open opens a port, and notes if it is another than people expect.
func (d *devHouse) open(ctx context.Context, what, asked, preferred string) (net.Listener, error) {
	l, note, err := listen(ctx, what, normal(asked), preferred)
	if note != "" {
		d.notes = append(d.notes, note)
	}
	return l, err
}

// openDemoApp makes sure of the app, its key and its credentials, and returns
// the key: the same one each time.
func (d *devHouse) openDemoApp(ctx context.Context) (string, error) {
	store := d.house.store
	_, err := store.App(ctx, demoApp)
	if errors.Is(err, push.ErrNotFound) {
		err = store.PutApp(ctx, push.App{ID: demoApp, Name: "Demo", Policy: push.Policy{SMSClasses: []push.Class{push.OTP, push.Transactional}}})
	}
	if err != nil {
		return "", err
	}
	if d.box != nil {
		for _, vendor := range sandbox.Vendors {
			if err := d.giveCredentials(ctx, vendor); err != nil {
				return "", err
			}
		}
	}
	return demoKey(ctx, store, filepath.Join(d.cmd.Data, demoKeyFile))
}

// giveCredentials points a provider at the sandbox, unless somebody has given
// the app credentials of their own for it.
func (d *devHouse) giveCredentials(ctx context.Context, vendor string) error {
	fresh := d.box.Credentials(vendor)
	current, _, err := d.house.store.Credentials(ctx, demoApp, vendor)
	if err != nil && !errors.Is(err, push.ErrNotFound) {
		return err
	}
	if err == nil && (!sameKeys(current, fresh) || bytes.Equal(current, fresh)) {
		return nil
	}
	_, err = d.house.store.PutCredentials(ctx, demoApp, vendor, fresh)
	return err
}

// sameKeys tells whether two sets of credentials differ in their addresses at
// most.
func sameKeys(a, b []byte) bool {
	keys := func(credentials []byte) map[string]any {
		var all map[string]any
		if err := json.Unmarshal(credentials, &all); err != nil {
			return nil
		}
		for _, address := range []string{"endpoint", "address", "callback"} {
			delete(all, address)
		}
		if account, ok := all["service_account"].(map[string]any); ok {
			delete(account, "token_uri")
		}
		return all
	}
	return reflect.DeepEqual(keys(a), keys(b))
}

// demoKey reads the key of the demo app, or makes it.
func demoKey(ctx context.Context, store *sqlstore.Store, path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("demo key: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key != "" {
		if _, _, err := store.FindKey(ctx, key); err == nil {
			return key, nil
		} else if !errors.Is(err, push.ErrNotFound) {
			return "", err
		}
	}
	if key, err = store.CreateKey(ctx, demoApp, scopes(), "herald dev"); err != nil {
		return "", err
	}
	return key, writeFile(path, []byte(key+"\n"))
}

// fleet is the demo's devices and callers, who come in through the front door
// as everybody else. If they cannot, Herald goes on without them.
func (d *devHouse) fleet() part {
	return runFunc(func(ctx context.Context) error {
		fleet := demo.New(demo.Config{
			Client: &client.Client{URL: d.facts.URL, Key: d.facts.APIKey},
			MQTT:   strings.TrimPrefix(d.facts.MQTT, "mqtt://"),
			Box:    d.box,
			Log:    d.log,
		})
		if err := fleet.Run(ctx); err != nil {
			d.log.ErrorContext(ctx, "the demo fleet has ended", "err", err)
		}
		<-ctx.Done()
		return nil
	})
}

// announce waits until the door answers, writes dev.json and prints the banner.
func (d *devHouse) announce(ctx context.Context) error {
	if err := d.waitForDoor(ctx); err != nil {
		return err
	}
	herald := &client.Client{URL: d.facts.URL, Key: d.facts.APIKey}
	if err := errors.Join(demo.Phone(ctx, herald), demo.Corner(ctx, herald)); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := d.facts.write(d.cmd.Data); err != nil {
		return err
	}
	b := banner{
		facts: d.facts, Version: version, Took: time.Since(d.began), Notes: d.notes,
		Redis: d.redis.What, ClickHouse: d.clickhouse.What, Command: d.command(),
	}
	if filepath.Base(d.cmd.Data) != "data" || filepath.Dir(d.cmd.Data) != d.here() {
		b.Where = " --data " + d.cmd.Data
	}
	if d.cmd.Demo {
		b.Demo = demo.Describe()
	}
	b.print(d.std.out)
	<-ctx.Done()
	return nil
}

func (d *devHouse) waitForDoor(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.facts.URL+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// command is how a person in this terminal calls this program.
func (d *devHouse) command() string {
	self, err := os.Executable()
	if err != nil {
		return "herald"
	}
	if rel, err := filepath.Rel(d.here(), self); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return self
}

// here is the folder that this program was called in.
func (d *devHouse) here() string {
	here, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return here
}
