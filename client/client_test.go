package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// script answers one request after another and keeps what was asked.
type script struct {
	answers []reply
	asked   []string
	at      []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, _ := io.ReadAll(r.Body)
	s.asked, s.at = append(s.asked, string(raw)), append(s.at, time.Now())
	next := s.answers[min(len(s.asked), len(s.answers))-1]
	if next.err != nil {
		return nil, next.err
	}
	return &http.Response{StatusCode: next.status, Header: next.header, Body: io.NopCloser(strings.NewReader(next.body))}, nil
}

// reply is an answer of Herald, or of the network.
type reply struct {
	status int
	body   string
	header http.Header
	err    error
}

func says(status int, body string, headers ...string) reply {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return reply{status: status, body: body, header: h}
}

var breaks = reply{err: errors.New("connection reset by peer")}

const (
	taken = `{"id":"n1","state":"queued"}`
	away  = `{"code":"unavailable","title":"Service Unavailable","status":503}`
)

func TestSendTriesAgain(t *testing.T) {
	tests := map[string]struct {
		answers []reply
		tries   int
		code    string // of the problem; "-" for an error that is none; "" for success
		asked   int
		least   time.Duration // waited in all
	}{
		"all is well":               {answers: []reply{says(202, taken)}, asked: 1},
		"the line broke once":       {answers: []reply{breaks, says(202, taken)}, asked: 2, least: 100 * time.Millisecond},
		"the line stays broken":     {answers: []reply{breaks}, code: "-", asked: 4, least: 700 * time.Millisecond},
		"herald asks for patience":  {answers: []reply{says(503, away, "Retry-After", "7"), says(202, taken)}, asked: 2, least: 7 * time.Second},
		"too fast":                  {answers: []reply{says(429, `{"code":"rate_limited"}`, "Retry-After", "2"), says(202, taken)}, asked: 2, least: 2 * time.Second},
		"a proxy has lost herald":   {answers: []reply{says(502, `<html>`), says(202, taken)}, asked: 2},
		"herald stays away":         {answers: []reply{says(503, away)}, code: CodeUnavailable, asked: 4},
		"no patience wanted":        {answers: []reply{says(503, away)}, tries: 1, code: CodeUnavailable, asked: 1},
		"a fault stays a fault":     {answers: []reply{says(422, `{"code":"invalid"}`)}, code: CodeInvalid, asked: 1},
		"the id was used":           {answers: []reply{says(409, `{"code":"id_conflict"}`)}, code: CodeConflict, asked: 1},
		"herald itself is at fault": {answers: []reply{says(500, `{"code":"internal"}`)}, code: "internal", asked: 1},
		"somebody else answers":     {answers: []reply{says(200, `<html>`)}, code: "-", asked: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				c := &Client{URL: "http://herald", Tries: tt.tries, HTTP: &http.Client{Transport: s}}
				start := time.Now()
				p, err := c.Send(t.Context(), Notification{To: Audience{All: true}, Title: "Hi"})
				if got := codeOf(err); got != tt.code {
					t.Errorf("Send() = %v, %v; want code %q", p, err, tt.code)
				}
				if tt.code == "" && p.ID != "n1" {
					t.Errorf("id = %q, want that of the answer", p.ID)
				}
				if len(s.asked) != tt.asked || time.Since(start) < tt.least {
					t.Errorf("asked %d times in %v, want %d in at least %v", len(s.asked), time.Since(start), tt.asked, tt.least)
				}
				for _, body := range s.asked {
					if body != s.asked[0] || !strings.Contains(body, `"id":"`) {
						t.Errorf("a try asked %s and the first %s: without one id it could be sent twice", body, s.asked[0])
					}
				}
			})
		})
	}
}

func codeOf(err error) string {
	var p *Problem
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Code
	default:
		return "-"
	}
}

func TestSendHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []reply{says(503, away, "Retry-After", "60")}}
		c := &Client{URL: "http://herald", HTTP: &http.Client{Transport: s}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Send(ctx, Notification{ID: "n1"})
		if codeOf(err) != CodeUnavailable || len(s.asked) != 1 || time.Since(start) > 0 {
			t.Errorf("Send() = %v after %v and %d tries; want the problem at once, for the pause is longer than the context", err, time.Since(start), len(s.asked))
		}

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Send(ctx, Notification{ID: "n1"}); codeOf(err) != CodeUnavailable || time.Since(start) != time.Second {
			t.Errorf("Send() = %v after %v; want it to end with its context", err, time.Since(start))
		}
	})
}

func TestDeleteWhoseAnswerWasLost(t *testing.T) {
	gone := says(404, `{"code":"not_found"}`)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{URL: "http://herald", HTTP: &http.Client{Transport: &script{answers: []reply{breaks, gone}}}}
		if err := c.DeleteDevice(t.Context(), "d1"); err != nil {
			t.Errorf("DeleteDevice() = %v, though the first try may have done it", err)
		}
		c = &Client{URL: "http://herald", HTTP: &http.Client{Transport: &script{answers: []reply{gone}}}}
		if err := c.DeleteDevice(t.Context(), "d1"); codeOf(err) != CodeNotFound {
			t.Errorf("DeleteDevice() = %v, want not_found when nobody knew the device", err)
		}
	})
}

func TestBatchGivesEachItsID(t *testing.T) {
	s := &script{answers: []reply{says(200, `{"results":[]}`)}}
	c := &Client{URL: "http://herald", HTTP: &http.Client{Transport: s}}
	given := []Notification{{Title: "a"}, {ID: "mine", Title: "b"}}
	if _, err := c.Batch(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	var in struct{ Notifications []Notification }
	if err := json.NewDecoder(bytes.NewBufferString(s.asked[0])).Decode(&in); err != nil {
		t.Fatal(err)
	}
	if in.Notifications[0].ID == "" || in.Notifications[1].ID != "mine" || given[0].ID != "" {
		t.Errorf("sent %+v of %+v; want an id made for the first, and the caller's slice left alone", in.Notifications, given)
	}
}

func TestProblemReadsLikeASentence(t *testing.T) {
	p := &Problem{Status: 422, Title: "Unprocessable Entity", Detail: "the request has faults", RequestID: "r1", Faults: []Fault{{"to", "is missing"}, {"title", "is missing"}}}
	want := "herald: 422 Unprocessable Entity: the request has faults; to is missing; title is missing (request r1)"
	if p.Error() != want {
		t.Errorf("Error() = %q, want %q", p.Error(), want)
	}
}

func TestTheKeyIsInNoError(t *testing.T) {
	c := &Client{URL: "http://herald", Key: "hk_PLANTED", Tries: 1, HTTP: &http.Client{Transport: &script{answers: []reply{breaks}}}}
	if _, err := c.Progress(t.Context(), "n1"); err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("error = %v, want one without the key", err)
	}
}
