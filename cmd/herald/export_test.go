package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/clickhousetest"
)

// exported is an export by what its lines are.
func exported(t *testing.T, p *places, user string, known ...string) map[string][]string {
	t.Helper()
	var out bytes.Buffer
	err := api.WriteExport(&out, func(tell func(string, any) error) error {
		return p.export(t.Context(), "demo", user, known, tell)
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(out.String()) {
		var l struct {
			What string          `json:"what"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines[l.What] = append(lines[l.What], string(l.Data))
	}
	return lines
}

func TestAPersonIsExportedWithAllThatIsKeptAndNobodyElse(t *testing.T) {
	p := peopled(t)
	recordPeople(t, p)
	lines := exported(t, p, "ann")
	for what, word := range map[string]string{
		"user": "Europe/Berlin", "device": `"token":"token-of-ann"`, "conversation": `"id":"g"`, "message": "hello from ann",
		"receipt": `"device":"ann-phone"`, "reaction": "👍", "friend": `"user":"bob"`, "block": `"user":"carol"`, "end": `{"lines":8}`,
	} {
		if got := strings.Join(lines[what], "\n"); len(lines[what]) != 1 || !strings.Contains(got, word) {
			t.Errorf("%s: %d lines, want one with %s: %s", what, len(lines[what]), word, got)
		}
	}
	for what, all := range lines {
		if text := strings.Join(all, "\n"); strings.Contains(text, "bob-phone") || strings.Contains(text, "hello from bob") {
			t.Errorf("%s tells of bob: %s", what, text)
		}
	}
	if nobody := exported(t, p, "nobody"); len(nobody) != 1 || nobody["end"][0] != `{"lines":0}` {
		t.Errorf("of nobody: %v", nobody)
	}
	if lines := exported(t, p, "nobody", "ann-phone"); len(lines["receipt"]) != 1 {
		t.Errorf("a device that was theirs: %v", lines)
	}
	// Once erased there is nothing to export.
	if _, err := p.erase(t.Context(), "demo", "ann", nil, false); err != nil {
		t.Fatal(err)
	}
	if gone := exported(t, p, "ann", "ann-phone"); len(gone) != 1 {
		t.Errorf("after the erasure: %v", gone)
	}
}

func TestAnExportWithoutItsStoreSaysSo(t *testing.T) {
	p := peopled(t)
	p.record = nil
	if lines := exported(t, p, "ann"); len(lines["left_out"]) != 1 || !strings.Contains(lines["left_out"][0], "no ClickHouse") || len(lines["receipt"]) != 0 {
		t.Errorf("without ClickHouse: %v", lines)
	}
	away, err := analytics.Open(t.Context(), "http://127.0.0.1:1/default")
	if err != nil {
		t.Fatal(err)
	}
	p.record = away
	err = p.export(t.Context(), "demo", "ann", nil, func(what string, _ any) error {
		t.Errorf("%s was told before the fault", what)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "ClickHouse") && !strings.Contains(err.Error(), "analytics") {
		t.Errorf("error = %v", err)
	}
}

// recordPeople adds what ann and bob have said, and a ClickHouse with what they
// were sent.
func recordPeople(t *testing.T, p *places) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- p.chat.Run(ctx) }()
	defer func() { end(); must(<-done) }()
	for _, user := range []string{"ann", "bob"} {
		_, err := p.chat.Append(ctx, &im.Draft{ChatMessage: im.ChatMessage{
			App: "demo", Conversation: "g", Sender: user, ClientID: user + "-1", Kind: im.KindText, Body: json.RawMessage(`{"text":"hello from ` + user + `"}`),
		}})
		must(err)
		must(p.chat.React(ctx, "demo", "g", 1, user, "👍", true))
	}
	must(p.chat.Befriend(ctx, "demo", "ann", "bob", "", func(im.FriendState) (mine, theirs im.FriendState, err error) {
		return im.Friends, im.Friends, nil
	}))
	must(p.chat.Block(ctx, "demo", "ann", "carol", true))

	record, err := analytics.Open(t.Context(), clickhousetest.DSN(t))
	must(err)
	t.Cleanup(func() { _ = record.Close() })
	must(record.Migrate(t.Context()))
	p.record = record
	spool, err := analytics.OpenSpool(analytics.DefaultSpoolConfig(p.spool), slog.New(slog.DiscardHandler))
	must(err)
	defer func() { must(spool.Close()) }()
	writer, err := analytics.NewWriter(spool, record, analytics.DefaultWriterConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	must(err)
	ended, stop := context.WithCancel(t.Context())
	stop()
	must(writer.Run(ended)) // told to end at once, it sends what there is
}
