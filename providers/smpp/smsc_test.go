package smpp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/push"
)

// smsc is the npm package smpp as the service.
type smsc struct {
	t       *testing.T
	in      io.Writer
	events  chan map[string]any
	address string
}

func startSMSC(t *testing.T) *smsc {
	t.Helper()
	node := need.Program(t, "node", "apt-get install nodejs npm")
	need.File(t, "testdata/npm/node_modules/smpp", "npm ci --prefix providers/smpp/testdata/npm")
	cmd := exec.CommandContext(t.Context(), node, "testdata/npm/smsc.js")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &smsc{t: t, in: in, events: make(chan map[string]any, 1024)}
	var read sync.WaitGroup
	read.Go(func() {
		defer close(s.events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var event map[string]any
			if json.Unmarshal(lines.Bytes(), &event) == nil {
				s.events <- event
			}
		}
	})
	t.Cleanup(func() {
		_ = in.Close()
		read.Wait()
		_ = cmd.Wait() // it ends with its input, or with the test
	})
	s.address = s.next("listening")["address"].(string)
	return s
}

// order has the service do something, and waits until it has heard.
func (s *smsc) order(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.in, format+"\n", args...); err != nil {
		s.t.Fatal(err)
	}
	s.next("done")
}

// next is the next event of a name; others before it are passed over.
func (s *smsc) next(name string) map[string]any {
	s.t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case event, ok := <-s.events:
			if !ok {
				s.t.Fatalf("the service ended without %q", name)
			}
			if event["event"] == name {
				return event
			}
		case <-late:
			s.t.Fatalf("the service never said %q", name)
		}
	}
}

// receipts is where a provider reports to.
func receipts(p *Provider) <-chan push.Receipt {
	c := make(chan push.Receipt, 64)
	p.Reports(func(_ context.Context, rs []push.Receipt) error {
		for _, r := range rs {
			c <- r
		}
		return nil
	})
	return c
}

func TestSMSCSeesWhoBinds(t *testing.T) {
	s := startSMSC(t)
	p := open(t, s.address, nil)
	receipts(p)
	answer, err := p.Send(t.Context(), delivery("n1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	if b := s.next("bound"); b["system_id"] != "herald" || b["password"] != "s3cret" || b["system_type"] != "push" {
		t.Errorf("bound as %v", b)
	}
	a := s.next("answered")
	if a["whole"] != "Herald\nYour code is 123456" || a["to"] != "15551234567" || a["from"] != "15550100" || a["registered"] != 1.0 {
		t.Errorf("submitted %v", a)
	}
	if answer.ID != a["id"] || answer.CostMicros != 50_000 {
		t.Errorf("Answer = %+v for %v", answer, a)
	}
	until, err := time.Parse(time.RFC3339, a["validity"].(string))
	if left := time.Until(until); err != nil || left < 58*time.Minute || left > time.Hour {
		t.Errorf("valid until %v, %v", a["validity"], err)
	}
	p.CloseIdleConnections()
	s.next("unbound")
}

func TestSMSCRefusesToBind(t *testing.T) {
	s := startSMSC(t)
	s.order(`{"refuse": 14}`)
	p := open(t, s.address, nil)
	_, err := p.Send(t.Context(), delivery("n1.0.0"))
	if !errors.Is(err, push.ErrCredentials) {
		t.Errorf("Send() error = %v, want credentials", err)
	}
	s.next("refused")
}

func TestSMSCReassemblesLongTexts(t *testing.T) {
	tests := map[string]struct {
		text   string
		parts  int
		coding float64
	}{
		"one in GSM-7":         {"@£$¥ èé Δ_Φ Ññ ¿¡ §", 1, 0},
		"the extension":        {"{[~]} \\ ^ | €", 1, 0},
		"three parts in GSM-7": {strings.Repeat("Herald says {hello} for 5 €. ", 12), 3, 0},
		"one in UCS-2":         {"Привет, 世界 🙂", 1, 8},
		"many parts in UCS-2":  {strings.Repeat("Здравствуйте 🙂 ", 15), 4, 8},
	}
	s := startSMSC(t)
	p := open(t, s.address, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			d.Title, d.Body = "", tt.text
			answer, err := p.Send(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if answer.CostMicros != int64(tt.parts)*50_000 {
				t.Errorf("cost %d, want that of %d parts", answer.CostMicros, tt.parts)
			}
			var last map[string]any
			for range tt.parts {
				last = s.next("answered")
			}
			if last["whole"] != tt.text || last["coding"] != tt.coding {
				t.Errorf("the phone shows %v", last)
			}
		})
	}
}

func TestSMSCThrottlesAndTheWindowShrinks(t *testing.T) {
	s := startSMSC(t)
	p := open(t, s.address, nil)
	s.order(`{"status": [88, 20]}`)
	for _, want := range []int{5, 2} {
		_, err := p.Send(t.Context(), delivery("n1.0.0"))
		var e *push.Error
		if !errors.As(err, &e) || !errors.Is(err, push.ErrThrottled) || e.RetryAfter == 0 {
			t.Errorf("Send() error = %v, want throttled for a while", err)
		}
		if p.window.limit != want {
			t.Errorf("the window is %d, want %d", p.window.limit, want)
		}
	}
	for range 2 {
		if _, err := p.Send(t.Context(), delivery("n1.0.0")); err != nil {
			t.Error(err)
		}
	}
	if p.window.limit != 3 {
		t.Errorf("the window is %d after two were taken, want 3", p.window.limit)
	}
}

func TestSMSCReportsWhatCameOfAMessage(t *testing.T) {
	tests := map[string]struct {
		order string // with the message's id
		want  push.Stage
		kind  string
	}{
		"delivered, in text":             {`{"receipt": "DELIVRD", "id": %q}`, push.Delivered, ""},
		"delivered, in parameters":       {`{"receipt": "DELIVRD", "id": %q, "tlv": true}`, push.Delivered, ""},
		"delivered, its id in decimal":   {`{"receipt": "DELIVRD", "id": %q, "decimal": true}`, push.Delivered, ""},
		"expired, in text":               {`{"receipt": "EXPIRED", "id": %q}`, push.Failed, "rejected"},
		"expired, in parameters":         {`{"receipt": "EXPIRED", "id": %q, "tlv": true}`, push.Failed, "rejected"},
		"undeliverable, with their code": {`{"receipt": "UNDELIV", "id": %q}`, push.Failed, "unavailable"},
	}
	s := startSMSC(t)
	p := open(t, s.address, nil)
	got := receipts(p)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, err := p.Send(t.Context(), delivery("order-8812.0.3"))
			if err != nil {
				t.Fatal(err)
			}
			s.order(tt.order, answer.ID)
			if a := s.next("acknowledged"); a["status"] != 0.0 {
				t.Errorf("acknowledged with %v", a["status"])
			}
			r := <-got
			if r.Stage != tt.want || r.Kind != tt.kind || r.Source != push.VendorCallback || r.ProviderID != answer.ID {
				t.Errorf("receipt = %+v", r)
			}
			if r.App != "demo" || r.Notification != "order-8812" || r.Delivery != "order-8812.0.3" || r.Device != "phone-1" {
				t.Errorf("receipt = %+v", r)
			}
		})
	}
}

func TestSMSCBringsAgainWhatWasNotKept(t *testing.T) {
	s := startSMSC(t)
	p := open(t, s.address, nil)
	kept := make(chan push.Receipt, 1)
	away := true
	p.Reports(func(_ context.Context, rs []push.Receipt) error {
		if away {
			away = false
			return push.ErrAway
		}
		kept <- rs[0]
		return nil
	})
	answer, err := p.Send(t.Context(), delivery("n1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []float64{statusTryAgain, 0} {
		s.order(`{"receipt": "DELIVRD", "id": %q}`, answer.ID)
		if a := s.next("acknowledged"); a["status"] != want {
			t.Errorf("acknowledged with %v, want %v", a["status"], want)
		}
	}
	if r := <-kept; r.Stage != push.Delivered {
		t.Errorf("receipt = %+v", r)
	}
}

func TestSMSCDropsTheConnectionMidWindow(t *testing.T) {
	s := startSMSC(t)
	p := open(t, s.address, nil)
	got := receipts(p)
	first, err := p.Send(t.Context(), delivery("n1.0.9"))
	if err != nil {
		t.Fatal(err)
	}
	s.order(`{"hold": true}`)
	failures := make(chan error, 2*defaultWindow)
	for i := range 2 * defaultWindow {
		go func() {
			_, err := p.Send(t.Context(), delivery(push.DeliveryID("n1", 0, i)))
			failures <- err
		}()
	}
	for s.next("held")["count"] != float64(defaultWindow) {
	}
	s.order(`{"hold": false}`)
	s.order(`{"drop": true}`)
	unknown := 0
	for range 2 * defaultWindow {
		switch err := <-failures; {
		case errors.Is(err, push.ErrUnknown):
			unknown++
		case err != nil && !errors.Is(err, push.ErrUnavailable):
			t.Errorf("Send() error = %v", err)
		}
	}
	if unknown != defaultWindow {
		t.Errorf("%d deliveries are unknown, want the %d of the window", unknown, defaultWindow)
	}
	s.next("bound") // by itself: a receipt is awaited
	s.order(`{"receipt": "DELIVRD", "id": %q}`, first.ID)
	if r := <-got; r.Delivery != "n1.0.9" || r.Stage != push.Delivered {
		t.Errorf("receipt = %+v", r)
	}
	if _, err := p.Send(t.Context(), delivery("n1.0.0")); err != nil {
		t.Errorf("Send() after the connection came back: %v", err)
	}
}
