package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/webhooks"
)

// databaseFlags say which database a command works on. It need not be a
// running Herald's: keys are made before the first one starts.
type databaseFlags struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"Configuration file that names the database."`
	Data   string `default:"./data" type:"path" help:"Without --config: the data folder of herald dev."`
}

// config is the configuration that names the database.
func (d databaseFlags) config() (Config, error) {
	if d.Config != "" {
		return loadConfig(d.Config, os.Environ())
	}
	if _, err := os.Stat(filepath.Join(d.Data, databaseFile)); err != nil {
		return Config{}, fmt.Errorf("no database in %s: start `herald dev` once, or name a configuration with --config", d.Data)
	}
	return devConfig(d.Data), nil
}

// open opens the database. Whoever calls it closes it.
func (d databaseFlags) open(ctx context.Context) (*sqlstore.Store, error) {
	c, err := d.config()
	if err != nil {
		return nil, err
	}
	keys, err := c.Sealing.open()
	if err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, c.Database.URL, keys, slog.New(slog.DiscardHandler))
}

// open reads the sealing key.
func (c SealingConfig) open() (*seal.Keys, error) {
	if c.Key != "" {
		return seal.Parse(c.Key)
	}
	return seal.Load(c.KeyFile)
}

// text is the sealing key as it is written.
func (c SealingConfig) text() (string, error) {
	if c.Key != "" {
		return c.Key, nil
	}
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return "", fmt.Errorf("sealing key: %w", err)
	}
	return string(text), nil
}

type appCmd struct {
	Create appCreateCmd `cmd:"" help:"Create an app, or change its name and policy."`
	List   appListCmd   `cmd:"" help:"List the apps."`
}

type appCreateCmd struct {
	databaseFlags
	App  string   `arg:"" help:"The app's id."`
	Name string   `help:"What people call it. Default: the id."`
	SMS  []string `placeholder:"CLASS" help:"Message classes that may cost an SMS, such as otp,transactional."`
}

func (a *appCreateCmd) Run(ctx context.Context, std streams) error {
	app := push.App{ID: a.App, Name: a.Name}
	if app.Name == "" {
		app.Name = a.App
	}
	for _, class := range a.SMS {
		if !push.Class(class).Known() {
			return fmt.Errorf("--sms: %q is none of %v", class, push.Classes)
		}
		app.Policy.SMSClasses = append(app.Policy.SMSClasses, push.Class(class))
	}
	store, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	var before any
	if was, err := store.App(ctx, app.ID); err == nil {
		before, app.Policy.Selection = was, was.Policy.Selection // it has a command of its own
	} else if !errors.Is(err, push.ErrNotFound) {
		return err
	}
	err = written(ctx, store, app.ID, "app.put", "/v1/apps/"+app.ID, before, func() (any, error) { return app, store.PutApp(ctx, app) })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "app %s is there; give it a key: herald key create --app %s\n", app.ID, app.ID)
	return err
}

type appListCmd struct {
	databaseFlags
	formatFlag
}

func (a *appListCmd) Run(ctx context.Context, std streams) error {
	store, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	apps, err := store.Apps(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, app := range apps {
		rows = append(rows, []string{app.ID, app.Name, fmt.Sprint(app.Policy.SMSClasses)})
	}
	return a.print(std.out, apps, []string{"APP", "NAME", "SMS FOR"}, rows)
}

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Create a key and print it, once."`
	List   keyListCmd   `cmd:"" help:"List an app's keys, without their secrets."`
	Revoke keyRevokeCmd `cmd:"" help:"Revoke a key; running processes let go of it within seconds."`
}

type keyCreateCmd struct {
	databaseFlags
	App    string   `default:"demo" help:"The app that the key belongs to."`
	Name   string   `default:"made on the command line" help:"What the key is for."`
	Scopes []string `default:"send,read,device" help:"What it may do: ${scopes}."`
}

func (k *keyCreateCmd) Run(ctx context.Context, std streams) error {
	for _, scope := range k.Scopes {
		if !slices.Contains(scopes(), scope) {
			return fmt.Errorf("--scopes: %q is none of %s", scope, strings.Join(scopes(), ", "))
		}
	}
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := store.App(ctx, k.App); errors.Is(err, push.ErrNotFound) {
		return fmt.Errorf("there is no app %q; make it with: herald app create %s", k.App, k.App)
	}
	var text string
	err = written(ctx, store, k.App, "key.create", "/v1/apps/"+k.App+"/keys", nil, func() (after any, err error) {
		text, err = store.CreateKey(ctx, k.App, k.Scopes, k.Name)
		return map[string]any{"id": keyID(text), "name": k.Name, "scopes": k.Scopes}, err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, text)
	return err
}

type keyListCmd struct {
	databaseFlags
	formatFlag
	App string `default:"demo" help:"The app whose keys to list."`
}

func (k *keyListCmd) Run(ctx context.Context, std streams) error {
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := store.Keys(ctx, k.App)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, key := range keys {
		rows = append(rows, []string{
			key.ID, key.Name, strings.Join(key.Scopes, ","),
			key.CreatedAt.Format(time.DateTime), day(key.LastUsedAt), day(key.RevokedAt),
		})
	}
	return k.print(std.out, keys, []string{"KEY", "NAME", "SCOPES", "CREATED", "LAST USED", "REVOKED"}, rows)
}

// day prints a time, or a dash for never.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateTime)
}

type keyRevokeCmd struct {
	databaseFlags
	App string `default:"demo" help:"The app that the key belongs to."`
	Key string `arg:"" help:"The key's id: the 8 characters after hk_."`
}

func (k *keyRevokeCmd) Run(ctx context.Context, std streams) error {
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	id := keyID(k.Key)
	err = written(ctx, store, k.App, "key.revoke", "/v1/apps/"+k.App+"/keys/"+id, map[string]string{"id": id}, func() (any, error) {
		return nil, store.RevokeKey(ctx, k.App, id)
	})
	if err != nil {
		if errors.Is(err, push.ErrNotFound) {
			return fmt.Errorf("app %s has no key %s", k.App, id)
		}
		return err
	}
	_, err = fmt.Fprintf(std.out, "key %s is revoked\n", id)
	return err
}

// keyID is the part of a key that names it.
func keyID(text string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(text, "hk_"), "_")
	return id
}

// resealCmd makes an old sealing key unnecessary.
type resealCmd struct {
	databaseFlags
}

func (r *resealCmd) Run(ctx context.Context, std streams) error {
	c, err := r.config()
	if err != nil {
		return err
	}
	keys, err := c.Sealing.open()
	if err != nil {
		return err
	}
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	secrets, hooks := 0, 0
	err = written(ctx, store, push.AllApps, "secrets.reseal", "/secrets", nil, func() (any, error) {
		var err error
		if secrets, err = store.Reseal(ctx); err == nil {
			hooks, err = webhooks.Reseal(ctx, c.Database.URL, keys, slog.New(slog.DiscardHandler))
		}
		return map[string]int{"secrets": secrets, "webhooks": hooks}, err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%d secrets and those of %d webhooks are sealed with the first key now; the others are needed no more\n", secrets, hooks)
	return err
}
