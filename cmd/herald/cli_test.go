package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
)

func TestParseAudience(t *testing.T) {
	tests := map[string]struct {
		text string
		want client.Audience
		bad  string // what the error says
	}{
		"one device":        {"device:phone-1", client.Audience{Device: "phone-1"}, ""},
		"a list":            {"devices:a,b", client.Audience{Devices: []string{"a", "b"}}, ""},
		"a user":            {"user:mia", client.Audience{User: "mia"}, ""},
		"some users":        {"users:mia,jonas", client.Audience{Users: []string{"mia", "jonas"}}, ""},
		"a tag":             {"tag:beta", client.Audience{Tag: "beta"}, ""},
		"everybody":         {"all", client.Audience{All: true}, ""},
		"id with a colon":   {"device:app:7", client.Audience{Device: "app:7"}, ""},
		"nobody":            {"device:", client.Audience{}, "say whom"},
		"a kind unheard of": {"crowd:x", client.Audience{}, `"crowd" is none of`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseAudience(tt.text)
			if tt.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tt.bad) {
					t.Errorf("parseAudience(%q) error = %v, want %q in it", tt.text, err, tt.bad)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseAudience(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
			}
		})
	}
}

func TestCommandLineFaults(t *testing.T) {
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"no command":               {nil, 0, "Usage: herald <command>"},
		"help":                     {[]string{"--help"}, 0, "Start everything on this machine"},
		"help of a command":        {[]string{"send", "--help"}, 0, "device:ID, devices:ID,ID"},
		"a command unheard of":     {[]string{"sned"}, 2, "herald --help"},
		"no audience":              {[]string{"send"}, 1, "--to or --filter: say whom"},
		"no Herald":                {[]string{"send", "--to", "all", "--data", "/nonexistent"}, 1, "herald dev"},
		"two ways to name roads":   {[]string{"send", "--to", "all", "--via", "sms", "--roads", "apns"}, 2, "--via and --roads can't be used together"},
		"an override of nothing":   {[]string{"send", "--to", "all", "--override", "apns.push_type"}, 1, "must be like apns.push_type=background"},
		"an override, half JSON":   {[]string{"send", "--to", "all", "--override", `{"apns":`}, 1, "is not JSON"},
		"a class unheard of":       {[]string{"send", "--to", "all", "--class", "loud"}, 2, "--class"},
		"a file that is not there": {[]string{"serve", "-c", "/nonexistent.yaml"}, 1, "no such file"},
		"analytics of a bad time":  {[]string{"analytics", "funnel", "--since", "yesterday"}, 1, `--since: "yesterday" is neither a span`},
		"analytics of no time":     {[]string{"analytics", "lost", "--since", "2026-05-02", "--until", "2026-05-01"}, 1, "is not before --until"},
		"analytics of no class":    {[]string{"analytics", "cost", "--class", "loud"}, 2, "--class"},
		"analytics of no Herald":   {[]string{"analytics", "errors", "--data", "/nonexistent"}, 1, "herald dev"},
		"a spool that is not":      {[]string{"analytics", "spool", "--dir", "/nonexistent"}, 1, "there is no spool in /nonexistent"},
		"too many events":          {[]string{"analytics", "seed", "--clickhouse", "http://127.0.0.1:1/x", "--events", "2000000000"}, 1, "events"},
		"version":                  {[]string{"version"}, 0, "herald dev"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(tt.args, streams{&out, &out})
			if code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Errorf("herald %v: code %d and %q, want %d and %q", tt.args, code, out.String(), tt.code, tt.want)
			}
		})
	}
}

func TestReportTellsEveryFaultOnALineOfItsOwn(t *testing.T) {
	var out bytes.Buffer
	code := report(&out, errors.Join(errors.New("redis.url: missing"), errors.Join(errors.New("roles: none given"))))
	if want := "herald: 2 faults:\n  redis.url: missing\n  roles: none given\n"; code != 1 || out.String() != want {
		t.Errorf("report() = %d and %q, want 1 and %q", code, out.String(), want)
	}
}

func TestFormats(t *testing.T) {
	tests := map[string]struct{ format, want string }{
		"table": {"table", "APP   NAME\ndemo  Demo\n"},
		"csv":   {"csv", "APP,NAME\ndemo,Demo\n"},
		"json":  {"json", "[\n  \"demo\"\n]\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := formatFlag{Format: tt.format}.print(&out, []string{"demo"}, []string{"APP", "NAME"}, [][]string{{"demo", "Demo"}})
			if err != nil || out.String() != tt.want {
				t.Errorf("print() = %q, %v, want %q", out.String(), err, tt.want)
			}
		})
	}
}

func TestStoryIsToldInTheOrderOfTime(t *testing.T) {
	accepted := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	lines := story(client.Trace{
		Attempts: []client.Attempt{
			{Number: 2, Provider: "apns", Stage: client.Accepted, At: accepted.Add(30 * time.Second), Why: "no proof from live"},
			{Number: 1, Provider: "live", Stage: client.HandedOver, At: accepted.Add(time.Millisecond), Why: "it is connected"},
		},
		Receipts: []client.Proof{{Stage: client.Delivered, Source: "app_report", Provider: "apns", AfterMs: 31_000}},
	}, accepted)
	want := []string{"attempt 1 by live", "attempt 2 by apns", "delivered, says the app (apns)"}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	for i, l := range lines {
		if !strings.HasPrefix(l.text, want[i]) {
			t.Errorf("line %d is %q, want %q", i, l.text, want[i])
		}
	}
}

func TestParseOverrides(t *testing.T) {
	tests := map[string]struct {
		given []string
		want  string
	}{
		"none":                     {nil, `{}`},
		"a word":                   {[]string{"apns.push_type=background"}, `{"apns":{"push_type":"background"}}`},
		"a number and a truth":     {[]string{"apns.badge=3", "apns.mutable_content=false"}, `{"apns":{"badge":3,"mutable_content":false}}`},
		"a text that is a number":  {[]string{`apns.thread_id="8812"`}, `{"apns":{"thread_id":"8812"}}`},
		"a text with an equals":    {[]string{"webpush.url=/a?b=c"}, `{"webpush":{"url":"/a?b=c"}}`},
		"nothing":                  {[]string{"apns.sound="}, `{"apns":{"sound":""}}`},
		"a deep place":             {[]string{"fcm.android.notification.channel_id=orders", "fcm.android.ttl=60s"}, `{"fcm":{"android":{"notification":{"channel_id":"orders"},"ttl":"60s"}}}`},
		"an object":                {[]string{`fcm.android={"ttl":"1s"}`, "fcm.data_only=true"}, `{"fcm":{"android":{"ttl":"1s"},"data_only":true}}`},
		"the whole, and more":      {[]string{`{"apns":{"badge":1},"sms":{"text":"x"}}`, "apns.badge=2"}, `{"apns":{"badge":2},"sms":{"text":"x"}}`},
		"a comma is part of words": {[]string{"sms.text=one, two"}, `{"sms":{"text":"one, two"}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseOverrides(tt.given)
			text, _ := json.Marshal(got)
			if err != nil || string(text) != tt.want {
				t.Errorf("parseOverrides(%q) = %s, %v, want %s", tt.given, text, err, tt.want)
			}
		})
	}
}

func TestWeightInWords(t *testing.T) {
	for want, p := range map[string]client.PlannedPayload{
		"212 bytes of 4096": {Bytes: 212, Limit: 4096},
		"40 bytes":          {Bytes: 40},
		"280 bytes of 1600, short messages: 2, 0.0158 a device": {Bytes: 280, Limit: 1600, Segments: 2, CostMicros: 15_800},
		"5000 bytes of 4096; apns: too large":                   {Bytes: 5000, Limit: 4096, Fault: "apns: too large"},
	} {
		if got := weightInWords(p); got != want {
			t.Errorf("weightInWords(%+v) = %q, want %q", p, got, want)
		}
	}
}
