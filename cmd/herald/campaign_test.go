package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-push/herald/client"
)

// looks plays a Herald that answers each question for progress with the next.
func looks(t *testing.T, all ...client.Progress) (url string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		p := all[min(len(*asked), len(all))-1]
		if err := json.NewEncoder(w).Encode(p); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestWatchTellsEachChangeUntilItIsDone(t *testing.T) {
	at := func(state client.State, deliveries, accepted int) client.Progress {
		return client.Progress{ID: "c1", State: state, Audience: 200, Counts: client.Counts{Deliveries: deliveries, Accepted: accepted}}
	}
	url, _ := looks(t, at(client.Queued, 0, 0), at(client.Sending, 100, 50), at(client.Sending, 100, 50), at(client.Paused, 100, 100), at(client.Done, 200, 200))
	var out, lines bytes.Buffer
	cmd := &campaignWatchCmd{campaignFlags: campaignFlags{remoteFlags: remoteFlags{URL: url, Key: "hk_test"}, Notification: "c1"}, Every: 1}
	if err := cmd.Run(context.Background(), streams{&out, &lines}); err != nil {
		t.Fatal(err)
	}
	want := []string{"c1 queued: 0 of 200 (0 %)", "c1 sending: 50 of 200 (25 %)", "c1 paused: 100 of 200 (50 %)", "c1 done: 200 of 200 (100 %)"}
	got := strings.Split(strings.TrimSpace(lines.String()), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d = %q, want %q", i+1, got[i], want[i])
		}
	}
	if !strings.HasPrefix(out.String(), want[3]) {
		t.Errorf("at the end: %q", out.String())
	}
}

func TestCampaignVerbsAskTheAPI(t *testing.T) {
	for verb, want := range map[string]string{
		"pause": "POST /v1/notifications/c:1:pause", "resume": "POST /v1/notifications/c:1:resume", "cancel": "DELETE /v1/notifications/c:1",
	} {
		url, asked := looks(t, client.Progress{ID: "c:1", State: client.Paused})
		var out bytes.Buffer
		if code := run([]string{"campaign", verb, "c:1", "--url", url, "--key", "hk_test"}, streams{&out, &out}); code != 0 {
			t.Errorf("%s: code %d, %s", verb, code, out.String())
		}
		if len(*asked) != 1 || (*asked)[0] != want {
			t.Errorf("%s asked %q, want %q", verb, *asked, want)
		}
	}
}
