package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/link"
	"github.com/herald-push/herald/im/logic"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/devicetoken"
	"github.com/herald-push/herald/internal/tracing"
	"github.com/herald-push/herald/longconn"
	geo "github.com/herald-push/herald/places"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/scheduler"
	"github.com/herald-push/herald/selector"
	"github.com/herald-push/herald/webhooks"
)

// Config is the whole configuration of a process. Each section belongs to the
// package that reads it; this file only puts them together.
type Config struct {
	// Roles is what this process does: any of api, worker, conn and im.
	Roles []string `yaml:"roles"`
	// Data is the folder for what must outlive the process: the spool of
	// events that ClickHouse has not taken yet.
	Data string `yaml:"data"`

	// Listen is the address of the API and the dashboards, and in processes
	// without the role api of health and metrics alone.
	Listen string `yaml:"listen"`
	// PublicURL is where the world reaches the API, such as
	// https://push.example.com: vendors report there what came of a message.
	PublicURL string `yaml:"public_url"`
	// WebSocket is where browsers reach the devices' door from outside, such as
	// wss://push.example.com/mqtt. With it the dashboards can play a device.
	WebSocket string `yaml:"websocket"`
	// Egress is the HTTP client towards APNs and FCM: own, Herald's HTTP/2 client,
	// or go, net/http's, should the other ever be in the way. Default own.
	Egress providers.Engine `yaml:"egress"`

	Log          LogConfig          `yaml:"log"`
	Redis        RedisConfig        `yaml:"redis"`
	Database     DatabaseConfig     `yaml:"database"`
	ClickHouse   ClickHouseConfig   `yaml:"clickhouse"`
	Sealing      SealingConfig      `yaml:"sealing"`
	API          api.Config         `yaml:"api"`
	Gateway      gateway.Config     `yaml:"gateway"`
	Places       geo.Config         `yaml:"places"`
	DeviceTokens devicetoken.Config `yaml:"device_tokens"`
	Scheduler    scheduler.Config   `yaml:"scheduler"`
	Selector     selector.Config    `yaml:"selector"`
	Routing      routing.Config     `yaml:"routing"`
	Access       access.Config      `yaml:"access"`
	LongConn     longconn.Config    `yaml:"longconn"`
	IM           chatConfig         `yaml:"im"`
	Webhooks     webhooks.Config    `yaml:"webhooks"`
	Tracing      tracing.Config     `yaml:"tracing"`
	Dashboard    DashboardConfig    `yaml:"dashboard"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level"`
	// Format is text or json. Default text.
	Format string `yaml:"format"`
}

// RedisConfig says where the queue and everything short-lived is.
type RedisConfig struct {
	// URL such as redis://:password@host:6379/0, rediss:// for TLS. Required.
	// The server needs its append-only file on, or a 202 promises too much.
	URL string `yaml:"url"`
}

// DatabaseConfig says where apps, keys, credentials and devices are.
type DatabaseConfig struct {
	// URL is postgres://… or sqlite:PATH. Required.
	URL string `yaml:"url"`
}

// ClickHouseConfig says where attempts and receipts go.
type ClickHouseConfig struct {
	// URL such as clickhouse://user:password@host:9000/herald or http://….
	// Without it events wait in the spool.
	URL string `yaml:"url"`
	// Cluster is the name of a cluster in the servers' remote_servers: tables are
	// replicated and spread over its shards. Default empty: one server.
	Cluster string `yaml:"cluster"`
	// RetentionDays is how long events and the numbers by minute are kept.
	// Default 90. Numbers by the hour stay for a year.
	RetentionDays int `yaml:"retention_days"`
	// AppRetentionDays are fewer days for some apps, by their ids; their events
	// go within a day after.
	AppRetentionDays map[string]int `yaml:"app_retention_days"`
}

// open opens the record; the server need not be there yet.
func (c ClickHouseConfig) open(ctx context.Context) (*analytics.Store, error) {
	return analytics.OpenCluster(ctx, c.URL, c.Cluster)
}

// writer is the part of the configuration that the writer of events reads.
func (c ClickHouseConfig) writer() analytics.WriterConfig {
	w := analytics.DefaultWriterConfig()
	w.RetentionDays, w.AppRetentionDays = c.RetentionDays, c.AppRetentionDays
	return w
}

// SealingConfig gives the key that the apps' provider credentials are sealed
// with, as 32 bytes in hex. Exactly one of the two is required.
type SealingConfig struct {
	Key     string `yaml:"key"`
	KeyFile string `yaml:"key_file"`
}

// The roles of a process.
const (
	roleAPI    = "api"    // takes notifications and answers questions
	roleWorker = "worker" // sends them
	roleConn   = "conn"   // holds the devices' live connections
	roleIM     = "im"     // decides about what people say, for connections of other processes
)

// allRoles in the order of the journey.
func allRoles() []string { return []string{roleAPI, roleWorker, roleConn, roleIM} }

// defaultConfig is what an empty file and environment mean.
func defaultConfig() Config {
	return Config{
		Roles:        allRoles(),
		Data:         "data",
		Listen:       ":8080",
		Egress:       providers.OwnEngine,
		Log:          LogConfig{Level: "info", Format: "text"},
		ClickHouse:   ClickHouseConfig{RetentionDays: analytics.DefaultWriterConfig().RetentionDays},
		API:          api.DefaultConfig(),
		Gateway:      gateway.DefaultConfig(),
		Places:       geo.DefaultConfig(),
		DeviceTokens: devicetoken.DefaultConfig(),
		Scheduler:    scheduler.DefaultConfig(),
		Selector:     selector.DefaultConfig(),
		Routing:      routing.DefaultConfig(),
		Access:       access.DefaultConfig(),
		LongConn:     longconn.DefaultConfig(),
		IM:           chatConfig{Chat: logic.DefaultConfig(), Data: data.DefaultConfig(), Link: link.DefaultConfig(), Hooks: chatHooksConfig{Within: time.Second}},
		Webhooks:     webhooks.DefaultConfig(),
	}
}

// loadConfig reads the file at path, if path is not empty, and then the
// environment, which wins. Its error holds every fault, each under its key.
func loadConfig(path string, environ []string) (Config, error) {
	c := defaultConfig()
	known := keysOf(reflect.TypeFor[Config](), "")
	k := koanf.New(".")
	var unknown []error
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return c, fmt.Errorf("config: %s: %w", path, err)
		}
		for _, key := range k.Keys() {
			if !isKnown(known, key) {
				unknown = append(unknown, fmt.Errorf("%s: unknown key", key))
			}
		}
	}
	if err := k.Load(environment(known, environ), nil); err != nil {
		return c, fmt.Errorf("config: environment: %w", err)
	}
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName:          "yaml",
		WeaklyTypedInput: true, // the environment has only strings
		Result:           &c,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
	}})
	if err := errors.Join(append(unknown, err)...); err != nil {
		return c, err
	}
	return c, nil
}

// environment maps HERALD_SELECTOR_HALF_LIFE to selector.half_life. Variables
// of other names are let be: the prefix is shared, and Kubernetes adds some.
func environment(known, environ []string) koanf.Provider {
	byName := make(map[string]string, len(known))
	for _, key := range known {
		byName["HERALD_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	return env.Provider(".", env.Opt{
		Prefix:        "HERALD_",
		EnvironFunc:   func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) { return byName[name], value },
	})
}

// keysOf lists the keys of a config struct: the yaml names on the way to every
// field that is not a struct itself.
func keysOf(t reflect.Type, prefix string) []string {
	var keys []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		if field.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(field.Type, prefix+name+".")...)
			continue
		}
		keys = append(keys, prefix+name)
	}
	return keys
}

// isKnown also accepts what is below a known key: that is a map's own.
func isKnown(known []string, key string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		return key == k || strings.HasPrefix(key, k+".")
	})
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Roles) == 0 {
		fault("roles: none given; choose from %s", strings.Join(allRoles(), ", "))
	}
	for _, role := range c.Roles {
		if !slices.Contains(allRoles(), role) {
			fault("roles: %q is none of %s", role, strings.Join(allRoles(), ", "))
		}
	}
	if c.Data == "" {
		fault("data: a folder is needed for the spool")
	}
	if err := new(slog.Level).UnmarshalText([]byte(c.Log.Level)); err != nil {
		fault("log.level: %q is none of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		fault("log.format: %q is none of text, json", c.Log.Format)
	}
	if c.Redis.URL == "" {
		fault("redis.url: missing, such as redis://localhost:6379/0")
	}
	if c.Database.URL == "" {
		fault("database.url: missing, such as postgres://user:password@localhost:5432/herald or sqlite:herald.db")
	}
	if (c.Sealing.Key == "") == (c.Sealing.KeyFile == "") {
		fault("sealing: give one of key and key_file; `openssl rand -hex 32` makes a key")
	}
	for _, section := range []interface{ Validate() error }{
		c.ClickHouse.writer(), c.Gateway, c.Places,
		c.Egress, c.API, c.DeviceTokens, c.Scheduler, c.Selector, c.Routing, c.Access, c.LongConn, c.IM, c.Webhooks, c.Tracing, c.Dashboard,
	} {
		errs = append(errs, section.Validate())
	}
	return errors.Join(errs...)
}

// does tells whether the process has a role.
func (c Config) does(role string) bool { return slices.Contains(c.Roles, role) }

// logger makes the process's logger, which writes to standard error.
func (c LogConfig) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by Validate
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(tracing.LogHandler(slog.NewJSONHandler(os.Stderr, options)))
	}
	return slog.New(tracing.LogHandler(slog.NewTextHandler(os.Stderr, options)))
}
