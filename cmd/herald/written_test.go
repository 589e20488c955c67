package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// cabinet is a database that commands work on.
type cabinet struct {
	t           *testing.T
	config, url string
}

func newCabinet(t *testing.T, sealing string) *cabinet {
	t.Helper()
	dir := t.TempDir()
	c := &cabinet{t, filepath.Join(dir, "herald.yaml"), "sqlite:" + filepath.Join(dir, "herald.db")}
	c.seal(sealing)
	return c
}

// seal writes the configuration with these sealing keys.
func (c *cabinet) seal(keys string) {
	c.t.Helper()
	text := fmt.Sprintf("redis: {url: \"redis://127.0.0.1:1\"}\ndatabase: {url: %q}\nsealing: {key: %q}\n", c.url, keys)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cabinet) run(args ...string) (string, int) {
	c.t.Helper()
	var out, complaints bytes.Buffer
	code := run(append(args, "-c", c.config), streams{&out, &complaints})
	return strings.TrimSpace(out.String() + complaints.String()), code
}

func (c *cabinet) open(keys string) *sqlstore.Store {
	c.t.Helper()
	parsed, err := seal.Parse(keys)
	if err != nil {
		c.t.Fatal(err)
	}
	store, err := sqlstore.Open(c.t.Context(), c.url, parsed, slog.New(slog.DiscardHandler))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestWhatCommandsChangeIsWrittenDown(t *testing.T) {
	old := strings.Repeat("ab", 32)
	c := newCabinet(t, old)
	if said, code := c.run("app", "create", "shop", "--name", "The shop"); code != 0 {
		t.Fatal(said)
	}
	key, code := c.run("key", "create", "--app", "shop", "--scopes", "send")
	if code != 0 {
		t.Fatal(key)
	}
	if said, code := c.run("key", "revoke", key, "--app", "shop"); code != 0 {
		t.Fatal(said)
	}
	if said, code := c.run("key", "revoke", "nothing", "--app", "shop"); code == 0 {
		t.Fatal(said)
	}
	changes, err := c.open(old).Changes(t.Context(), "shop", push.ChangeQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ch := range changes {
		got = append(got, fmt.Sprintf("%s %s %d", ch.Action, ch.Via, ch.Status))
		if !strings.Contains(ch.Who, "@") || strings.Contains(string(ch.Before)+string(ch.After)+ch.Target, key) {
			t.Errorf("written down as %+v", ch)
		}
	}
	want := "key.revoke command 404, key.revoke command 200, key.create command 200, app.put command 200"
	if strings.Join(got, ", ") != want {
		t.Errorf("the audit has %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestResealMakesTheOldKeyUnnecessary(t *testing.T) {
	old, fresh := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	c := newCabinet(t, old)
	if said, code := c.run("app", "create", "shop"); code != 0 {
		t.Fatal(said)
	}
	if _, err := c.open(old).PutCredentials(t.Context(), "shop", "apns", []byte(`{"key":"x"}`)); err != nil {
		t.Fatal(err)
	}
	c.seal(fresh)
	if said, code := c.run("reseal"); code == 0 {
		t.Errorf("without the old key: %s", said)
	}
	c.seal(fresh + " " + old)
	if said, code := c.run("reseal"); code != 0 || !strings.HasPrefix(said, "2 secrets and those of 0 webhooks") {
		t.Errorf("code %d: %s", code, said)
	}
	if _, _, err := c.open(fresh).Credentials(t.Context(), "shop", "apns"); err != nil {
		t.Errorf("with the new key alone: %v", err)
	}
}

func TestWhoComesAndLeavesIsWrittenDown(t *testing.T) {
	keys := strings.Repeat("ab", 32)
	store := newCabinet(t, keys).open(keys)
	if err := store.PutApp(t.Context(), push.App{ID: "shop", Name: "Shop"}); err != nil {
		t.Fatal(err)
	}
	text, err := store.CreateKey(t.Context(), "shop", []string{"admin"}, "x")
	if err != nil {
		t.Fatal(err)
	}
	door := login{store: store, token: "t0k3n"}
	v := visits{store, door}
	byKey, err := door.Key(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []web.Identity{byKey, {Kind: "link", Name: "operator"}} {
		if err := v.Came(t.Context(), who, who.Kind, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Left(t.Context(), byKey, "s1", time.Now().Add(time.Hour), "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if gone, err := v.Gone(t.Context(), "s1"); err != nil || !gone {
		t.Errorf("gone: %v, %v", gone, err)
	}
	if gone, err := v.Gone(t.Context(), "s2"); err != nil || gone {
		t.Errorf("another session is gone: %v, %v", gone, err)
	}
	changes, err := store.Changes(t.Context(), "shop", push.ChangeQuery{Limit: 10})
	var got []string
	for _, ch := range changes {
		got = append(got, ch.Action+" "+ch.App+" "+ch.Via+" "+string(ch.After))
		if strings.Contains(fmt.Sprint(ch), text) {
			t.Errorf("the audit has the key: %+v", ch)
		}
	}
	want := []string{`session.end shop key {"role":"admin"}`, `session.begin * link {"role":"admin"}`, `session.begin shop key {"role":"admin"}`}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit has %q, %v; want %q", got, err, want)
	}
}
