package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/live"
)

// Phone is a device of a user with an app that was built for one version.
type Phone struct {
	stage   *Stage
	id      string
	version int
	client  *client.Client // with the device's token
	device  *live.Device   // once it listens
	over    string         // " over MQTT", or nothing
}

// Want is what a call is to bring. Code is for those that fail.
type Want struct {
	Output  string // JSON
	More    bool   // there is a further page
	Cached  string
	Partial string // "part code" of the one that could not be had
	Unasked bool   // no business is asked

	Code   string
	Status int
	Fault  string // the field that is wrong
}

// Phone registers a device. It reaches Herald with a token of its own.
func (s *Stage) Phone(id, user string, version int) *Phone {
	_, err := s.api.PutDevice(s.ctx, client.Device{ID: id, User: user, Platform: "android", Addresses: []client.Address{{Provider: "live"}}})
	s.must("register "+id, err)
	token, err := s.api.DeviceToken(s.ctx, id)
	s.must("token of "+id, err)
	s.Say("%s is %s's, its app speaks version %d", id, user, version)
	return &Phone{stage: s, id: id, version: version, client: &client.Client{URL: s.facts.URL, Key: token.Token}}
}

// OverMQTT is the phone that makes its calls over the connection that it listens
// on.
func (p *Phone) OverMQTT() *Phone {
	if p.device == nil {
		p.stage.Fail("%s is not connected", p.id)
	}
	over := *p
	over.over = " over MQTT"
	return &over
}

// Call asks a business through Herald, shows what passes and compares it.
func (p *Phone) Call(name, input string, want Want, page ...client.ServicePage) client.ServiceAnswer {
	s := p.stage
	s.asked() // what others asked meanwhile
	answer, err := p.ask(s.ctx, name, input, page...)
	fmt.Printf("  %s ▸ v%d %s %s%s%s\n", p.id, p.version, name, input, onPage(page), p.over)
	asked := s.asked()
	some := len(asked) > 0
	if !some {
		asked = []string{"(nobody is asked)"}
	}
	margin := strings.Repeat(" ", len(p.id)+5)
	fmt.Println(margin + strings.Join(asked, "\n"+margin))
	// A long list has a line for each.
	fmt.Printf("  %*s ◂ %s\n", len(p.id), "", strings.ReplaceAll(told(answer, err), "},{", "},\n"+margin+"  {"))
	s.must(name, want.differs(answer, err))
	if want.Unasked && some {
		s.Fail("%s: no business was to be asked: %s", name, asked)
	}
	s.checked++
	return answer
}

func (p *Phone) ask(ctx context.Context, name, input string, page ...client.ServicePage) (client.ServiceAnswer, error) {
	what := client.ServiceCall{Version: p.version, Input: json.RawMessage(input)}
	if len(page) > 0 {
		what.Page = &page[0]
	}
	if p.over != "" {
		return p.device.Call(ctx, name, what)
	}
	return p.client.Call(ctx, name, what)
}

func onPage(page []client.ServicePage) string {
	switch {
	case len(page) == 0:
		return ""
	case page[0].Cursor == "":
		return fmt.Sprintf(", first %d", page[0].Limit)
	default:
		return fmt.Sprintf(", next %d", page[0].Limit)
	}
}

// told is an answer on one line.
func told(a client.ServiceAnswer, err error) string {
	var text strings.Builder
	if problem := (*client.Problem)(nil); errors.As(err, &problem) {
		text.WriteString(strings.TrimSuffix(fmt.Sprintf("%d %s: %s", problem.Status, problem.Code, problem.Detail), ": "))
		for _, f := range problem.Faults {
			fmt.Fprintf(&text, "; %s %s", f.Field, f.Detail)
		}
		return text.String()
	}
	if err != nil {
		return err.Error()
	}
	text.Write(a.Output)
	for _, part := range a.Partial {
		fmt.Fprintf(&text, "  (without %s: %s)", part.Part, part.Code)
	}
	if a.Page.Next != "" {
		text.WriteString("  (there is more)")
	}
	if a.Cached != "" {
		text.WriteString("  (cached: " + a.Cached + ")")
	}
	if a.Deprecated != nil {
		fmt.Fprintf(&text, "  (version %d ends on %s, use %d)", a.Version, a.Deprecated.Sunset, a.Deprecated.Use)
	}
	return text.String()
}

// differs tells in what an answer is not the one that was expected.
func (w Want) differs(a client.ServiceAnswer, err error) error {
	if w.Code != "" {
		problem := (*client.Problem)(nil)
		if !errors.As(err, &problem) || problem.Code != w.Code || problem.Status != w.Status {
			return fmt.Errorf("it was to fail with %d %s, and brought %s", w.Status, w.Code, told(a, err))
		}
		if w.Fault != "" && (len(problem.Faults) != 1 || problem.Faults[0].Field != w.Fault) {
			return fmt.Errorf("%s was to be at fault: %s", w.Fault, told(a, err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	partial := ""
	for _, part := range a.Partial {
		partial = strings.TrimSpace(partial + " " + part.Part + " " + part.Code)
	}
	if !same(string(a.Output), w.Output) || (a.Page.Next != "") != w.More || a.Cached != w.Cached || partial != w.Partial {
		return fmt.Errorf("it brought %s, and was to bring %+v", told(a, nil), w)
	}
	return nil
}

func same(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// While asks the same over and over while something is done, and shows that
// every answer was the one expected. do is given a function that waits until
// what was under way has been answered, and a question after it.
func (p *Phone) While(name, input string, want Want, do func(settle func())) {
	s := p.stage
	ctx, cancel := context.WithCancel(s.ctx)
	var count atomic.Int64
	var wrong error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for wrong == nil {
			answer, err := p.ask(ctx, name, input)
			if ctx.Err() != nil {
				return
			}
			wrong = want.differs(answer, err)
			count.Add(1)
		}
	}()
	defer func() { cancel(); <-ended }()
	settle := func() {
		before := count.Load()
		s.Until(name+" is answered", func() bool {
			select {
			case <-ended:
				return true // why is told below
			default:
				return count.Load() >= before+2
			}
		})
	}
	settle()
	do(settle)
	settle()
	cancel()
	<-ended
	s.must(name+" meanwhile", wrong)
	s.checked += int(count.Load())
	s.Say("%s asked %s %d times meanwhile: the same answer each time, no error", p.id, name, count.Load())
}

// Waiting makes a call that is not answered at once. The function that it
// returns waits for it and compares.
func (p *Phone) Waiting(name, input string, want Want) (finish func()) {
	s := p.stage
	s.asked()
	fmt.Printf("  %s ▸ v%d %s %s\n  %*s   (waits)\n", p.id, p.version, name, input, len(p.id), "")
	type result struct {
		answer client.ServiceAnswer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := p.ask(s.ctx, name, input)
		done <- result{answer, err}
	}()
	return func() {
		if len(done) > 0 {
			s.Fail("%s was answered before the others were", name)
		}
		got := <-done
		fmt.Printf("  %s ◂ %s\n", p.id, told(got.answer, got.err))
		s.must(name, want.differs(got.answer, got.err))
		s.checked++
	}
}

// Retry asks quietly until the answer is the one wanted, then shows it.
func (p *Phone) Retry(name, input string, want Want) {
	p.stage.Until(name+" is answered again", func() bool {
		return want.differs(p.ask(p.stage.ctx, name, input)) == nil
	})
	p.Call(name, input, want)
}

// Listen connects the phone over MQTT, as the app would, until the end of the
// example. What comes is in the channel.
func (p *Phone) Listen() <-chan live.Notification {
	s := p.stage
	came, connected := make(chan live.Notification, 8), make(chan struct{}, 1)
	p.device = live.New(live.Config{
		Addr: strings.TrimPrefix(s.facts.MQTT, "mqtt://"), API: s.facts.URL, Device: p.id,
		Token: func(ctx context.Context) (live.Token, error) {
			t, err := s.api.DeviceToken(ctx, p.id)
			return live.Token{Token: t.Token, ExpiresAt: t.ExpiresAt}, err
		},
		OnNotification: func(n live.Notification) { came <- n },
		OnState: func(state string) {
			if state == "connected" {
				select {
				case connected <- struct{}{}:
				default:
				}
			}
		},
	})
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.device.Run(ctx) // it ends with the example
	}()
	s.hangUp = append(s.hangUp, func() { cancel(); <-ended })
	select {
	case <-connected:
	case <-s.ctx.Done():
		s.Fail("%s did not get connected", p.id)
	}
	s.Say("%s is connected over MQTT", p.id)
	return came
}

// Hears waits for a notification and compares it.
func (p *Phone) Hears(came <-chan live.Notification, title, body string) {
	s := p.stage
	select {
	case n := <-came:
		fmt.Printf("  %s ◂ notification %q: %q\n", p.id, n.Title, n.Body)
		if n.Title != title || n.Body != body {
			s.Fail("the notification was to be %q: %q", title, body)
		}
		s.checked++
	case <-s.ctx.Done():
		s.Fail("%s heard nothing", p.id)
	}
}
