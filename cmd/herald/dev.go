package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-push/herald/internal/child"
	"github.com/herald-push/herald/internal/seal"
)

// devCmd is everything on one machine. It needs no account and no
// configuration, and keeps all it knows in one folder.
type devCmd struct {
	Listen    string `placeholder:"ADDR" help:"Address of the API and the dashboard. Default: 127.0.0.1:8080, or any free port if that is taken. Port 0 takes any."`
	MQTT      string `name:"mqtt" placeholder:"ADDR" help:"Address of MQTT. Default: 127.0.0.1:1883, or any free port."`
	WebSocket string `name:"websocket" placeholder:"ADDR" help:"Address of MQTT over WebSocket. Default: 127.0.0.1:8083, or any free port."`
	Data      string `default:"./data" type:"path" help:"Folder for everything that is kept."`
	Demo      bool   `default:"true" negatable:"" help:"Run the demo fleet of simulated devices."`
	Sandbox   bool   `default:"true" negatable:"" help:"Play the vendors (APNs, FCM, SMS)."`
	Services  string `type:"existingdir" placeholder:"DIR" help:"Folder with declarations of businesses, one YAML file each."`
	RedisURL  string `name:"redis" env:"REDIS_URL" placeholder:"URL" help:"Use this Redis. Default: a redis-server of its own."`
	ClickURL  string `name:"clickhouse" env:"CLICKHOUSE_URL" placeholder:"URL" help:"Use this ClickHouse. Default: the embedded engine."`
	Verbose   bool   `short:"v" help:"Log everything to the terminal, not warnings alone."`
}

// The files in the data folder of `herald dev`.
const (
	lockFile     = "herald.lock"
	databaseFile = "herald.db"
	sealingFile  = "herald.key"
	demoKeyFile  = "demo.key"
	logFile      = "herald.log"
)

// devConfig is the configuration that a data folder means.
func devConfig(data string) Config {
	c := defaultConfig()
	c.Data = data
	c.API.HouseApp = demoApp
	c.Gateway.AllowPrivate = true // a business under development is next door
	c.Database.URL = "sqlite:" + filepath.Join(data, databaseFile)
	c.Sealing.KeyFile = filepath.Join(data, sealingFile)
	c.Webhooks.AllowPrivate = true // who develops has the endpoint next door
	return c
}

// Run starts the servers that Herald stands on, then Herald, and ends them the
// other way round.
func (d *devCmd) Run(ctx context.Context, std streams) error {
	began := time.Now()
	if d.Demo && !d.Sandbox {
		d.Demo = false // the fleet lives on the sandbox's vendors
	}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	held, err := child.Lock(filepath.Join(d.Data, lockFile))
	if taken := (*child.TakenError)(nil); errors.As(err, &taken) {
		return fmt.Errorf("another herald (process %d) runs on %s; end it, or choose another folder with --data", taken.PID, d.Data)
	}
	if err != nil {
		return err
	}
	defer held.Close()
	// What an earlier Herald left behind when it was killed is no longer so.
	facts := filepath.Join(d.Data, factsFile)
	_ = os.Remove(facts)
	defer os.Remove(facts)

	log, closeLog, err := d.logger(std.err)
	if err != nil {
		return err
	}
	defer closeLog()
	if _, err := seal.LoadOrCreate(filepath.Join(d.Data, sealingFile)); err != nil {
		return err
	}
	redis, err := devRedis(d.RedisURL, filepath.Join(d.Data, "redis"), log)
	if err != nil {
		return err
	}
	clickhouse, err := devClickHouse(d.ClickURL, filepath.Join(d.Data, "clickhouse"), log)
	if err != nil {
		return err
	}

	var servers []part
	for _, s := range []server{redis, clickhouse} {
		if s.part != nil {
			servers = append(servers, s.part)
		}
	}
	herald := runFunc(func(ctx context.Context) error {
		h := &devHouse{cmd: d, redis: redis, clickhouse: clickhouse, log: log, std: std, began: began}
		return h.Run(ctx)
	})
	return runStages(ctx, []part{herald}, servers)
}

// logger writes everything to a file in the data folder, and to the terminal
// what somebody should see.
func (d *devCmd) logger(terminal io.Writer) (*slog.Logger, func(), error) {
	f, err := os.OpenFile(filepath.Join(d.Data, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	level := slog.LevelWarn
	if d.Verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(f, nil),
		slog.NewTextHandler(terminal, &slog.HandlerOptions{Level: level}),
	))
	return log, func() { f.Close() }, nil
}
