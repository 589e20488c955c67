package providers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/herald-push/herald/push"
)

// narrow is a service with limits of its own. It counts what really leaves.
type narrow struct {
	bytes, title int // limits; 0 is none
	sent         []*push.Delivery
	weighed      int
}

func (n *narrow) Weigh(d *push.Delivery) (push.Payload, error) {
	n.weighed++
	w := push.Payload{Bytes: len(d.Title) + len(d.Body) + len(d.ID), Limit: n.bytes}
	for k, v := range d.Data {
		w.Bytes += len(k) + len(v)
	}
	if n.bytes > 0 && w.Bytes > n.bytes || n.title > 0 && utf8.RuneCountInString(d.Title) > n.title {
		return w, &push.Error{Provider: "narrow", Kind: push.ErrRejected, Detail: fmt.Sprintf("%d bytes", w.Bytes)}
	}
	return w, nil
}

func (n *narrow) Send(_ context.Context, d *push.Delivery) (push.Answer, error) {
	if _, err := n.Weigh(d); err != nil {
		return push.Answer{}, err
	}
	n.sent = append(n.sent, d)
	return push.Answer{Stage: push.Accepted}, nil
}

func TestContentIsShortenedInThisOrder(t *testing.T) {
	family := "👩‍👩‍👧‍👦"
	long := strings.Repeat("word ", 40) // 200 bytes
	tests := map[string]struct {
		service     narrow
		title, body string
		data        string
		wantTitle   string // "" is that it cannot be sent
		wantBody    string
		cut         string
	}{
		"it fits":                          {narrow{bytes: 500}, "Title", long, "", "Title", long, ""},
		"the body gives way first":         {narrow{bytes: 100}, "Title", long, "", "Title", long[:100-5-13-3] + "…", "body"},
		"then the title":                   {narrow{bytes: 100}, long, "Some body", "", long[:100-4-13-3] + "…", "S…", "body title"},
		"the title alone is too long":      {narrow{title: 10}, "A title of many words", "Body", "", "A title o…", "Body", "title"},
		"data are never cut":               {narrow{bytes: 100}, "Title", "Body", strings.Repeat("d", 100), "", "", ""},
		"no body":                          {narrow{bytes: 50}, long, "", "", long[:50-13-3] + "…", "", "title"},
		"a family is one character":        {narrow{bytes: 5 + 13 + 3 + 2*len(family) + 1}, "Title", strings.Repeat(family, 5), "", "Title", family + family + "…", "body"},
		"Chinese is cut between its signs": {narrow{bytes: 5 + 13 + 3 + 7}, "Title", "您好您好您好", "", "Title", "您好…", "body"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewSet(nil, nil, map[string]Provider{"narrow": &tt.service})
			n := &push.Notification{App: "demo", ID: "n1", Title: tt.title, Body: tt.body}
			if tt.data != "" {
				n.Data = map[string]string{"k": tt.data}
			}
			for i := range 3 {
				d := &push.Delivery{Notification: n, ID: push.DeliveryID("n1", 0, i), Device: "phone"}
				_, err := s.Send(t.Context(), "demo", "narrow", d)
				if (err == nil) != (tt.wantTitle != "") {
					t.Fatalf("Send() = %v", err)
				}
				if d.Title != tt.title || d.Body != tt.body {
					t.Error("the notification itself was changed")
				}
			}
			w, err := s.Weigh(t.Context(), "demo", "narrow", &push.Delivery{Notification: n, ID: "n1.0.0", Device: "phone"})
			if got := strings.Join(w.Shortened, " "); got != tt.cut {
				t.Errorf("Weigh() says %q is shortened (%v), want %q", got, err, tt.cut)
			}
			if tt.wantTitle == "" {
				if err == nil {
					t.Error("Weigh() takes what cannot be sent")
				}
				return
			}
			if len(tt.service.sent) != 3 {
				t.Fatalf("%d were sent, want 3", len(tt.service.sent))
			}
			for _, d := range tt.service.sent {
				if d.Title != tt.wantTitle || d.Body != tt.wantBody || !utf8.ValidString(d.Title+d.Body) {
					t.Errorf("sent %q, %q; want %q, %q", d.Title, d.Body, tt.wantTitle, tt.wantBody)
				}
			}
			if tt.cut != "" && tt.service.weighed > 40 {
				t.Errorf("it was weighed %d times for 3 devices", tt.service.weighed)
			}
		})
	}
}
