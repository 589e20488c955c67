package main

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/push"
)

// peopled is a set of places where ann and bob have left something.
func peopled(t *testing.T) *places {
	t.Helper()
	dir := t.TempDir()
	c := devConfig(dir)
	c.Sealing.KeyFile, c.Sealing.Key = "", strings.Repeat("0f", 32)
	c.Redis.URL = redistest.Start(t).URL()
	p, err := openPlaces(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.sql.PutApp(t.Context(), push.App{ID: "demo", Name: "Demo"}))
	spool, err := analytics.OpenSpool(analytics.DefaultSpoolConfig(filepath.Join(dir, "spool")), slog.New(slog.DiscardHandler))
	must(err)
	for _, user := range []string{"ann", "bob"} {
		device := &push.Device{
			App: "demo", ID: user + "-phone", User: user, Platform: "ios", Tags: []string{"vip"},
			Addresses: []push.Address{{Provider: "apns", Token: "token-of-" + user}},
		}
		_, err := p.sql.PutDevice(t.Context(), device)
		must(err)
		must(p.sql.PutUser(t.Context(), &push.User{App: "demo", ID: user, Timezone: "Europe/Berlin"}))
		must(redisstore.NewInbox(p.redis).Put(t.Context(), []redisstore.Letter{{
			App: "demo", Device: device.ID, Delivery: "n.0.0", Payload: []byte(`{"sent_at":1}`), Expires: time.Now().Add(time.Hour),
		}}))
		must(spool.Record(t.Context(), push.Receipt{App: "demo", Device: device.ID, Delivery: "n.0.0", Stage: push.Accepted, At: time.Now(), ReceivedAt: time.Now()}))
	}
	must(spool.Close())
	chat, err := data.Open(t.Context(), c.IM.url(c.Database.URL), c.IM.Data, slog.New(slog.DiscardHandler))
	must(err)
	t.Cleanup(func() { _ = chat.Close() })
	must(chat.CreateConversation(t.Context(), &im.Conversation{App: "demo", ID: "g", Kind: im.Group}, []im.Member{{User: "ann", Role: "owner"}, {User: "bob", Role: "member"}}))
	return p
}

func TestAPersonIsErasedEverywhereAndNobodyElse(t *testing.T) {
	p := peopled(t)
	dry, err := p.erase(t.Context(), "demo", "ann", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.erase(t.Context(), "demo", "ann", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"sql devices": true, "sql addresses": true, "sql tags": true, "sql what the user has said": true,
		"chat memberships, reactions, friends, blocks": true, "redis caches, inboxes, caps": true, "spool events that wait": true,
	}
	for i, f := range found {
		name := f.Store + " " + f.What
		if want[name] && f.Found == 0 || f.Left != 0 || f.Fault != "" {
			t.Errorf("%s: %d found, %d left, fault %q", name, f.Found, f.Left, f.Fault)
		}
		if dry[i].Found != f.Found {
			t.Errorf("%s: the dry run found %d, the erasure %d", name, dry[i].Found, f.Found)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("nobody looked for %v", want)
	}
	// An event that comes late, when the rows are gone, is found by the device.
	late, err := analytics.OpenSpool(analytics.DefaultSpoolConfig(p.spool), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Record(t.Context(), push.Receipt{App: "demo", Device: "ann-phone", Delivery: "n.0.0", Stage: push.Delivered}); err != nil {
		t.Fatal(err)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	found, err = p.erase(t.Context(), "demo", "ann", []string{"ann-phone"}, false)
	if last := found[len(found)-1]; err != nil || last.Found != 1 || last.Left != 0 {
		t.Errorf("the late event: %+v, %v", last, err)
	}
	found = dry // what ann had is what bob has
	again, err := p.erase(t.Context(), "demo", "bob", nil, true)
	text, _ := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range again {
		if f.Found != found[i].Found {
			t.Errorf("bob has lost something: %s", text)
		}
	}
	if nobody, err := p.erase(t.Context(), "demo", "carol", nil, false); err != nil || nobody[0].Found != 0 {
		t.Errorf("somebody unknown: %+v, %v", nobody, err)
	}
	if _, err := p.erase(t.Context(), "demo", "", nil, false); err == nil {
		t.Error("nobody was erased without a word")
	}
}
