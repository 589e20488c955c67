package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestJPushSaysItsWords(t *testing.T) {
	saysItsWords(t, "http", map[string]error{
		"1003": push.ErrRejected, "1004": push.ErrCredentials, "1011": push.ErrUnregistered,
		"1030": push.ErrUnavailable, "2002": push.ErrThrottled,
	})
}

func TestJPushRefusesWhatJPushWould(t *testing.T) {
	tests := map[string]struct {
		from, to string // in the credentials
		change   func(*push.Delivery)
		want     error
	}{
		"another secret":       {`"master_secret":"`, `"master_secret":"x`, nil, push.ErrCredentials},
		"a device that's gone": {"", "", func(d *push.Delivery) { d.Address.Token = "gone" }, push.ErrUnregistered},
		"too long a life":      {"min .TTL 259200", "mul .TTL 259200", nil, push.ErrRejected},
		"too much at once":     {`"limit_bytes":4000`, `"limit_bytes":0`, func(d *push.Delivery) { d.Body = strings.Repeat("x", 4000) }, push.ErrRejected},
	}
	s := start(t, sandbox.Config{})
	s.Kill("http", "gone", time.Now())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			credentials := bytes.ReplaceAll(s.Credentials("http"), []byte(tt.from), []byte(tt.to))
			if tt.from == "" {
				credentials = s.Credentials("http")
			}
			p, err := openers("")["http"](credentials)
			if err != nil {
				t.Fatal(err)
			}
			d := delivery("http", "n1.0.0")
			if tt.change != nil {
				tt.change(d)
			}
			if _, err := p.Send(t.Context(), d); !errors.Is(err, tt.want) {
				t.Errorf("Send() error = %v, want %v", err, tt.want)
			}
		})
	}
}

// JPush says nothing of those it does not know, as long as it knows one.
func TestJPushTakesManyDevices(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "http", "").(providers.Batcher)
	ds := make([]*push.Delivery, 3)
	for i := range ds {
		ds[i] = delivery("http", push.DeliveryID("n1", 0, i))
		ds[i].Class, ds[i].Address.Token = push.Marketing, fmt.Sprint("phone-", i)
	}
	if got := p.Batch(ds[0].Notification); got != 1000 {
		t.Fatalf("Batch() of marketing = %d", got)
	}
	s.Kill("http", "phone-1", time.Now())
	for i, reply := range p.SendBatch(t.Context(), ds) {
		if reply.Err != nil || reply.Answer.ID == "" {
			t.Errorf("device %d: %+v", i, reply)
		}
		if shows := s.Shows("http", ds[i].Address.Token); len(shows) != 1 && i != 1 || i == 1 && len(shows) != 0 {
			t.Errorf("device %d shows %+v", i, shows)
		}
	}
	if got := s.Counts("http").Requests; got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	s.Kill("http", "phone-0", time.Now())
	s.Kill("http", "phone-2", time.Now())
	for i, reply := range p.SendBatch(t.Context(), ds) {
		if !errors.Is(reply.Err, push.ErrUnregistered) {
			t.Errorf("all are gone, and device %d has %+v", i, reply)
		}
	}
}
