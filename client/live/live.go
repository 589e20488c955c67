// Package live is a device of Herald: it stays connected, acknowledges what it
// gets, reports what became of a notification, and talks.
//
//	device := live.New(live.Config{
//		Addr: "push.example.com:8883", TLS: &tls.Config{}, API: "https://push.example.com",
//		Device: "phone-1", Token: fetchTokenFromMyServer,
//		OnMessage: func(m live.Message) { fmt.Println(m.Sender, m.Body) },
//	})
//	go device.Run(ctx)
//	m, err := device.Send(ctx, live.Draft{To: "bob", Text: "Hi"})
//	jobs, err := device.Call(ctx, "jobs.search", client.ServiceCall{Version: 2, Input: map[string]string{"text": "cook"}})
//
// It comes back after a loss with a pause that doubles and is never in step with
// others; finds the longest heartbeat that the network bears; shows a new token
// before the old one runs out; drops what was shown before; and after every
// connection holds back what comes, pulls what has changed since its cursor, and
// goes on, so that nothing is missed and nothing comes twice.
//
// It has no dependencies outside the standard library and its own module.
package live

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Token lets a device in until ExpiresAt.
type Token struct {
	Token     string
	ExpiresAt time.Time
}

// Config says who the device is and what to do with what comes. What comes is
// acknowledged when its function returns; the functions are called one at a time.
type Config struct {
	// Addr is host:port of MQTT, or ws://host/mqtt or wss://host/mqtt where only
	// HTTP gets through.
	Addr   string
	TLS    *tls.Config // nil for none; wss:// has TLS in any case
	API    string      // where Herald answers HTTP; without it nothing missed of chat is fetched
	Device string
	// Token fetches a token from the app's own server.
	Token func(ctx context.Context) (Token, error)
	// Network names the network that the device is on, for the heartbeat's sake.
	Network func() string
	// Store keeps what must be known again. Default: in memory.
	Store Store
	HTTP  *http.Client

	OnNotification func(Notification)
	OnMessage      func(Message)
	OnEvent        func(Event)  // typing, cursor, reaction, friends, presence
	OnState        func(string) // connecting, connected, waiting, taken over
	OnFault        func(error)  // what went wrong and is tried again
	// FollowServer lets Herald name another address ("use another server"), which
	// is tried once; else only Addr is.
	FollowServer bool
	pause        func(int) time.Duration
}

// Notification is what was sent to the device.
type Notification struct {
	ID           string            `json:"id"` // of the delivery
	Notification string            `json:"notification"`
	Title        string            `json:"title"`
	Body         string            `json:"body"`
	Data         map[string]string `json:"data"`
	CollapseKey  string            `json:"collapse_key"`
	SentAt       time.Time         `json:"sent_at"`
	ExpiresAt    time.Time         `json:"expires_at"`
}

// Message is what somebody said.
type Message struct {
	Conversation string          `json:"conversation"`
	Seq          uint64          `json:"seq"`
	Sender       string          `json:"sender"`
	ClientID     string          `json:"client_id"`
	Kind         string          `json:"kind"`
	Body         json.RawMessage `json:"body"`
	ReplyTo      uint64          `json:"reply_to"`
	Mentions     []string        `json:"mentions"`
	Target       uint64          `json:"target"`
	At           time.Time       `json:"at"`
}

// Event is what happens beside messages.
type Event struct {
	Type         string `json:"type"`
	Conversation string `json:"conversation"`
	User         string `json:"user"`
	Seq          uint64 `json:"seq"`
	Received     uint64 `json:"received"`
	Read         uint64 `json:"read"`
	// Users are who of the watched has come (true) or gone, of "presence".
	Users map[string]bool `json:"users"`
}

// Draft is what is to be said, to a user or in a conversation.
type Draft struct {
	To           string          `json:"to,omitempty"`
	Conversation string          `json:"conversation,omitempty"`
	Text         string          `json:"-"` // makes the body of a text
	Kind         string          `json:"kind,omitempty"`
	Body         json.RawMessage `json:"body,omitempty"`
	ReplyTo      uint64          `json:"reply_to,omitempty"`
	Mentions     []string        `json:"mentions,omitempty"`
	// ClientID names the message: the same one is said once. Default: made up.
	ClientID string `json:"client_id"`
}

// Refusal is why Herald did not take something.
type Refusal struct {
	Code   string `json:"code"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (r *Refusal) Error() string { return "live: " + r.Code + ": " + r.Detail }

// ErrTakenOver ends [Device.Run]: another connection is this device now, and to
// come back would be to fight it.
var ErrTakenOver = errors.New("live: the device connected elsewhere")

// Device is one. It is safe for concurrent use.
type Device struct {
	cfg Config

	mu        sync.Mutex
	state     State
	line      *line // nil while there is none
	token     string
	elsewhere string            // where the server wants the next try to go; of Run alone
	watched   []byte            // whom the device watches, as it tells Herald
	asked     map[string]*asked // by client id, until they are said
	order     []string          // of asked

	opened chan struct{} // closed, and made anew, when a connection has been made
	calls  map[string]chan answered
}

// asked is a message on its way.
type asked struct {
	payload []byte
	done    chan result
}

type result struct {
	said Message
	err  error
}

// New makes a device.
func New(cfg Config) *Device {
	if cfg.Store == nil {
		cfg.Store = &memory{}
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	if cfg.pause == nil {
		cfg.pause = pause
	}
	if cfg.Network == nil {
		cfg.Network = func() string { return "default" }
	}
	return &Device{cfg: cfg, asked: map[string]*asked{}, opened: make(chan struct{}), calls: map[string]chan answered{}}
}

// Run stays connected until ctx ends, and then returns nil.
func (d *Device) Run(ctx context.Context) error {
	state, err := d.cfg.Store.Load()
	if err != nil {
		return err
	}
	if state.Heads == nil {
		state.Heads = map[string]uint64{}
	}
	if state.Beats == nil {
		state.Beats = map[string]Heartbeat{}
	}
	d.mu.Lock()
	d.state = state
	d.mu.Unlock()
	for failures := 0; ; failures++ {
		d.tell("connecting")
		began := time.Now()
		err := d.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrTakenOver):
			d.tell("taken over")
			return err
		}
		d.fault(err)
		if time.Since(began) > calm {
			failures = 0
		}
		d.tell("waiting")
		wait := d.cfg.pause(failures)
		if away := (*Away)(nil); errors.As(err, &away) {
			if away.Retry > 0 {
				wait = later(away.Retry, failures)
			}
			if d.cfg.FollowServer {
				d.elsewhere = away.Server
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Device) tell(state string) {
	if d.cfg.OnState != nil {
		d.cfg.OnState(state)
	}
}

func (d *Device) fault(err error) {
	if err != nil && d.cfg.OnFault != nil {
		d.cfg.OnFault(err)
	}
}

// Send says something and returns it as it was said, however often the
// connection breaks meanwhile. When ctx ends first it may be said all the same;
// to send it again with the same ClientID says it once.
func (d *Device) Send(ctx context.Context, m Draft) (Message, error) {
	if m.ClientID == "" {
		m.ClientID = rand.Text()
	}
	if m.Body == nil {
		body, err := json.Marshal(map[string]string{"text": m.Text})
		if err != nil {
			return Message{}, fmt.Errorf("live: body: %w", err)
		}
		m.Body = body
	}
	payload, err := json.Marshal(struct {
		Op string `json:"op"`
		Draft
	}{"send", m})
	if err != nil {
		return Message{}, fmt.Errorf("live: send: %w", err)
	}
	a := &asked{payload: payload, done: make(chan result, 1)}
	d.mu.Lock()
	if d.asked[m.ClientID] == nil {
		d.order = append(d.order, m.ClientID)
	}
	d.asked[m.ClientID] = a
	line := d.line
	d.mu.Unlock()
	if line != nil && line.ready.Load() {
		line.publish("im", payload, d.expect(line, m.ClientID))
	}
	select {
	case r := <-a.done:
		return r.said, r.err
	case <-ctx.Done():
		d.settle(m.ClientID, result{})
		return Message{}, fmt.Errorf("live: send: %w", ctx.Err())
	}
}

// settle ends the wait for a message.
func (d *Device) settle(clientID string, r result) {
	d.mu.Lock()
	a := d.asked[clientID]
	delete(d.asked, clientID)
	for i, id := range d.order {
		if id == clientID {
			d.order = append(d.order[:i:i], d.order[i+1:]...)
			break
		}
	}
	d.mu.Unlock()
	if a != nil {
		a.done <- r
	}
}

// Read tells that the user has read a conversation up to a message.
func (d *Device) Read(conversation string, seq uint64) {
	d.say(map[string]any{"op": "cursor", "conversation": conversation, "received": seq, "read": seq})
}

// Typing tells that the user is about to say something.
func (d *Device) Typing(conversation string) {
	d.say(map[string]any{"op": "typing", "conversation": conversation})
}

// Watch asks to hear of the presence of users, at most 200, by OnEvent: how they
// are now, and whenever one comes or goes. Another list takes the place of this
// one; nobody ends it. It outlives the connection.
func (d *Device) Watch(users ...string) error {
	payload, err := json.Marshal(map[string][]string{"users": append([]string{}, users...)})
	if err != nil {
		return fmt.Errorf("live: watch: %w", err)
	}
	d.mu.Lock()
	d.watched = payload
	line := d.line
	d.mu.Unlock()
	if line != nil && line.ready.Load() {
		line.publish("presence", payload, nil)
	}
	return nil
}

// say publishes what may be lost without harm.
func (d *Device) say(word map[string]any) {
	payload, err := json.Marshal(word)
	d.mu.Lock()
	line := d.line
	d.mu.Unlock()
	if err == nil && line != nil {
		line.publish("im", payload, nil)
	}
}

// Displayed and Clicked report what became of a notification. A report is kept
// until Herald has it.
func (d *Device) Displayed(n Notification) { d.report(n.ID, "displayed") }

// Clicked is [Device.Displayed] for one that the user opened.
func (d *Device) Clicked(n Notification) { d.report(n.ID, "clicked") }

func (d *Device) report(id, event string) {
	text, err := json.Marshal(map[string]string{"id": id, "event": event, "at": time.Now().UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return
	}
	d.change(func(s *State) { s.Reports = append(s.Reports, string(text)) })
	d.mu.Lock()
	line := d.line
	d.mu.Unlock()
	if line != nil {
		d.bring(line, string(text))
	}
}

// bring sends a report and forgets it once it is acknowledged.
func (d *Device) bring(l *line, text string) {
	l.publish("receipts", []byte(text), func() {
		d.change(func(s *State) {
			for i, r := range s.Reports {
				if r == text {
					s.Reports = append(s.Reports[:i:i], s.Reports[i+1:]...)
					break
				}
			}
		})
	})
}

// change changes what is kept.
func (d *Device) change(f func(*State)) {
	d.mu.Lock()
	f(&d.state)
	err := d.cfg.Store.Save(d.state)
	d.mu.Unlock()
	d.fault(err)
}
