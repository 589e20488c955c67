package longconn_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
)

// door is the way in for plain HTTP.
func (h *house) door(t *testing.T, method, path, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.WebSocketAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: soon}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

type polled struct {
	Cursor   string
	Messages []struct {
		Topic   string
		Payload struct{ ID string }
		Again   bool
	}
}

func (h *house) poll(t *testing.T, query string) (ids []string, cursor string) {
	t.Helper()
	code, body := h.door(t, http.MethodGet, "/v1/inbox?"+query, "sesame", "")
	var p polled
	if err := json.Unmarshal([]byte(body), &p); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	for _, m := range p.Messages {
		ids = append(ids, m.Payload.ID)
	}
	return ids, p.Cursor
}

func TestInboxIsPolled(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Change(func() { h.anyone = "d1" })
	if ids, _ := h.poll(t, "wait=0"); len(ids) != 0 {
		t.Fatalf("messages %v", ids)
	}
	come := func(first, n int) {
		go func() {
			h.Await(t, "poll", func() bool { return h.conns["d1"] != nil })
			for i := range n {
				id := fmt.Sprint("m", first+i)
				h.conns["d1"].Deliver(longconn.Message{ID: id, Payload: []byte(`{"id":"` + id + `"}`)}, nil)
			}
		}()
	}
	h.Change(func() { delete(h.conns, "d1") })
	come(1, 2)
	ids, cursor := h.poll(t, "wait=8")
	if fmt.Sprint(ids) != "[m1 m2]" && fmt.Sprint(ids) != "[m1]" {
		t.Fatalf("messages %v", ids)
	}
	again, _ := h.poll(t, "wait=1") // not acknowledged: they come again
	if len(again) < len(ids) || again[0] != "m1" {
		t.Errorf("messages %v, want at least those again", again)
	}
	h.poll(t, "wait=1&cursor="+url.QueryEscape(cursor))
	h.Await(t, "proof", func() bool { return h.acked["m1"] == 1 })
	if ids, _ := h.poll(t, "wait=0"); len(ids) > 0 && ids[0] == "m1" {
		t.Errorf("messages %v after the cursor", ids)
	}
}

func TestDoorsRefuseWhatIsWrong(t *testing.T) {
	h := open(t)
	h.Change(func() { h.anyone = "d1" })
	tests := map[string]struct {
		method, path, token, body string
		want                      int
	}{
		"wrong token":            {http.MethodGet, "/v1/inbox", "wrong", "", http.StatusUnauthorized},
		"wrong token for events": {http.MethodGet, "/v1/live", "wrong", "", http.StatusUnauthorized},
		"cursor of another":      {http.MethodGet, "/v1/inbox?cursor=x", "sesame", "", http.StatusBadRequest},
		"wait too long":          {http.MethodGet, "/v1/inbox?wait=3600", "sesame", "", http.StatusBadRequest},
		"wait is no number":      {http.MethodGet, "/v1/inbox?wait=x", "sesame", "", http.StatusBadRequest},
		"session of nobody":      {http.MethodPost, "/v1/live/x", "sesame", `{"type":"ping"}`, http.StatusNotFound},
		"somewhere else":         {http.MethodGet, "/v1/elsewhere", "sesame", "", http.StatusNotFound},
		"another method":         {http.MethodPut, "/v1/inbox", "sesame", "", http.StatusMethodNotAllowed},
		"a page asks beforehand": {http.MethodOptions, "/v1/inbox", "", "", http.StatusNoContent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if code, body := h.door(t, tt.method, tt.path, tt.token, tt.body); code != tt.want {
				t.Errorf("%d %s, want %d", code, body, tt.want)
			}
		})
	}
}

func TestEventsComeAndAreAnswered(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Change(func() { h.anyone = "d1" })
	resp, err := http.Get("http://" + h.WebSocketAddr().String() + "/v1/live?access_token=sesame") //nolint:noctx // ended below
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(event string) map[string]any {
		t.Helper()
		deadline := time.Now().Add(soon)
		for lines.Scan() && time.Now().Before(deadline) {
			if lines.Text() != "event: "+event {
				continue
			}
			lines.Scan()
			var got map[string]any
			if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &got); err != nil {
				t.Fatal(err)
			}
			return got
		}
		t.Fatalf("no %s: %v", event, lines.Err())
		return nil
	}
	session, _ := next("connected")["session"].(string)
	if err := h.deliver(t, "d1", longconn.Message{ID: "m1", Payload: []byte(`{"id":"m1"}`)}); err != nil {
		t.Fatal(err)
	}
	m := next("message")
	say := fmt.Sprintf(`[{"type":"ack","packet":%v},{"type":"publish","topic":"receipts","packet":5,"payload":{"id":"m1"}}]`, m["packet"])
	if code, body := h.door(t, http.MethodPost, "/v1/live/"+session, "", say); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	if got := next("published"); got["packet"] != 5.0 {
		t.Errorf("published %v", got)
	}
	h.Await(t, "proof", func() bool { return h.acked["m1"] == 1 && len(h.published) == 1 })
	if code, body := h.door(t, http.MethodPost, "/v1/live/"+session, "", `{"type":"dance"}`); code != http.StatusBadRequest {
		t.Errorf("%d %s", code, body)
	}
	h.conn(t, "d1").Close(longconn.TakenOver)
	if got := next("bye"); got["reason"] != 142.0 {
		t.Errorf("bye %v", got)
	}
}
