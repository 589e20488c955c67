package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// ErrLost is what a call comes to whose connection breaks before its answer:
// the business may have been asked, or not.
var ErrLost = errors.New("live: the connection was lost before the answer came")

// callTime is how long a call may take whose context has no end.
const callTime = 30 * time.Second

const (
	callTopic   = "services/"
	answerTopic = "answers"
	cancelTopic = "cancel"
)

// answered is what came of a call.
type answered struct {
	answer client.ServiceAnswer
	err    error
}

// Call asks a business over the live connection, as [client.Client.Call] does
// over HTTP: name is service.operation, and what goes wrong at the business is a
// [*client.Problem]. It waits for a connection if there is none, and is made
// once. When ctx ends first, Herald is told that nobody waits for the answer.
func (d *Device) Call(ctx context.Context, name string, what client.ServiceCall) (client.ServiceAnswer, error) {
	service, operation, ok := strings.Cut(name, ".")
	if !ok || strings.ContainsAny(name, "/+#") {
		return client.ServiceAnswer{}, fmt.Errorf("live: %q is not service.operation", name)
	}
	body, err := json.Marshal(what)
	if err != nil {
		return client.ServiceAnswer{}, fmt.Errorf("live: call %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	id, came := rand.Text(), make(chan answered, 1)
	l, err := d.callable(ctx, id, came)
	if err != nil {
		return client.ServiceAnswer{}, fmt.Errorf("live: call %s: %w", name, err)
	}
	end, _ := ctx.Deadline()
	left := uint32(max(time.Until(end)/time.Second, 0)) + 1
	l.write(askPacket(callTopic+service+"/"+operation, answerTopic, id, left, body))
	select {
	case a := <-came:
		return a.answer, a.err
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.calls, id)
		d.mu.Unlock()
		l.write(askPacket(cancelTopic, "", id, 0, nil))
		return client.ServiceAnswer{}, fmt.Errorf("live: call %s: %w", name, ctx.Err())
	}
}

// callable waits for a connection and files a call under it.
func (d *Device) callable(ctx context.Context, id string, came chan answered) (*line, error) {
	for {
		d.mu.Lock()
		l, opened := d.line, d.opened
		if l != nil {
			d.calls[id] = came
		}
		d.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// answer takes the answer to a call; false for what is none.
func (d *Device) answer(p packet) bool {
	topic, _, props, payload, err := p.parts()
	if err != nil || topic != answerTopic {
		return false
	}
	var a answered
	problem := &client.Problem{}
	switch err := json.Unmarshal(payload, problem); {
	case err != nil:
		a.err = fmt.Errorf("live: answer: %w", err)
	case problem.Code != "":
		a.err = problem
	default:
		if err := json.Unmarshal(payload, &a.answer); err != nil {
			a.err = fmt.Errorf("live: answer: %w", err)
		}
	}
	d.settleCall(correlationOf(props), a)
	return true
}

func (d *Device) settleCall(id string, a answered) {
	d.mu.Lock()
	came := d.calls[id]
	delete(d.calls, id)
	d.mu.Unlock()
	if came != nil {
		came <- a
	}
}

// forsake ends the calls of a connection that has ended.
func (d *Device) forsake() {
	d.mu.Lock()
	calls := d.calls
	d.calls = map[string]chan answered{}
	d.mu.Unlock()
	for _, came := range calls {
		came <- answered{err: ErrLost}
	}
}
