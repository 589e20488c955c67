package smpp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/herald-push/herald/push"
)

// Notes keep which delivery a message of the service belongs to where every
// process finds it, now and after a restart. What they keep is forgotten at the
// time given. They are safe for concurrent use.
type Notes interface {
	// Keep writes a note under a key.
	Keep(ctx context.Context, key string, note []byte, until time.Time) error
	// Find returns the first of the keys that has a note; "" if none has.
	Find(ctx context.Context, keys []string) (key string, note []byte, err error)
	// Mark writes a word under a name on the sheet of a key, and returns all
	// words that are on it.
	Mark(ctx context.Context, key, name, word string, until time.Time) (map[string]string, error)
	// Await notes that an app waits for receipts of a provider until then.
	Await(ctx context.Context, app, provider string, until time.Time) error
}

// keeping bounds the time that a note may take.
const keeping = time.Second

// note is what is kept of one message.
type note struct {
	App      string `json:"a"`
	Delivery string `json:"d"`
	Device   string `json:"v"`
	To       string `json:"t"`
	Sheet    string `json:"s"`
	Part     int    `json:"p,omitempty"`
	Parts    int    `json:"n"`
	Until    int64  `json:"u"` // unix seconds
}

// void is the word on the sheet of a delivery of which a part was refused.
const void = "void"

// scope keeps the messages of one account at one service apart from others'.
func (c *config) scope() string {
	sum := sha256.Sum256([]byte(c.Address + "\x00" + c.SystemID))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (p *Provider) messageKey(id string) string { return p.config.scope() + "/m:" + id }
func (p *Provider) sheetKey(j *journey) string  { return p.config.scope() + "/s:" + j.sheet }

// keep notes a message that the service took. A note that cannot be written
// costs no more than the receipt after a restart, so it costs no error.
func (p *Provider) keep(ctx context.Context, a *awaited, id string) {
	if p.notes == nil || id == "" || p.report.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
	defer cancel()
	text, err := json.Marshal(note{
		App: a.app, Delivery: a.delivery, Device: a.device, To: a.to, Sheet: a.sheet, Part: a.part, Parts: len(a.stages), Until: a.until.Unix(),
	})
	if err == nil && p.notes.Keep(ctx, p.messageKey(id), text, a.until) == nil && a.part == 0 {
		_ = p.notes.Await(ctx, a.app, name, a.until) // see above
	}
}

// void notes that a delivery was refused after some of its parts were taken.
func (p *Provider) void(ctx context.Context, j *journey) {
	if p.notes == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
	defer cancel()
	_, _ = p.notes.Mark(ctx, p.sheetKey(j), void, void, j.until) // see keep
}

// recall finds the message of a receipt that another process sent, or this one
// before it was started anew; nil if there is none.
func (p *Provider) recall(ctx context.Context, r receipt) (*awaited, error) {
	if p.notes == nil || r.id == "" {
		return nil, nil
	}
	ids := append([]string{r.id}, otherForms(r.id)...)
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = p.messageKey(id)
	}
	key, text, err := p.notes.Find(ctx, keys)
	if err != nil || key == "" {
		return nil, err
	}
	var n note
	if json.Unmarshal(text, &n) != nil || n.Part < 0 || n.Part >= n.Parts || n.Parts > 255 {
		return nil, nil
	}
	if key != keys[0] && !sameNumber(n.To, r.to) {
		return nil, nil // a number that looks like another in the other base
	}
	j := &journey{
		app: n.App, delivery: n.Delivery, device: n.Device, to: n.To, sheet: n.Sheet, until: time.Unix(n.Until, 0), stages: make([]push.Stage, n.Parts),
	}
	return &awaited{journey: j, id: r.id, part: n.Part}, nil
}

// gather notes what one part of a long message came to, and takes over what
// other processes have heard of the other parts.
func (p *Provider) gather(ctx context.Context, a *awaited, stage push.Stage) error {
	if p.notes == nil || len(a.stages) == 1 {
		return nil
	}
	words, err := p.notes.Mark(ctx, p.sheetKey(a.journey), strconv.Itoa(a.part), string(stage), a.until)
	if err != nil {
		return err
	}
	p.ledger.merge(a.journey, words)
	return nil
}

// merge takes over the words of a delivery's sheet.
func (l *ledger) merge(j *journey, words map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, word := range words {
		if name == void {
			j.void = true
		}
		part, err := strconv.Atoi(name)
		if err != nil || part < 0 || part >= len(j.stages) {
			continue
		}
		if stage := push.Stage(word); stage.Rank() > j.stages[part].Rank() {
			j.stages[part] = stage
		}
	}
}

// Await implements the wish of [providers.Set.Await]: the connection stands
// until then, so that receipts for what was sent before a restart come in
// though nothing is being sent.
func (p *Provider) Await(until time.Time) {
	p.ledger.expect(until)
	p.link.start()
}

// expect has the ledger wait for receipts of messages that it does not hold.
func (l *ledger) expect(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.expected) {
		l.expected = until
	}
}
