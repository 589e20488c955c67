package access

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// Topics of calls to businesses. What is asked on "services/jobs/search" is
// answered on the response topic, with the correlation data, that came with it;
// a client that has no such properties asks on "services/jobs/search/7", and is
// answered on "answers/7".
const (
	CallTopic   = "services" // /{service}/{operation}, and /{id} without correlation data
	AnswerTopic = "answers"  // or below it
	CancelTopic = "cancel"   // with the same correlation data, or /{id}
)

// Bounds of what devices ask.
const (
	callsEach   = 32     // under way of one session
	callsAll    = 10_000 // of this process
	correlation = 128    // bytes
	callLimit   = 2 * time.Minute
)

// Calls answers what devices ask of businesses.
type Calls interface {
	// Call answers with JSON and a status as HTTP has them. ctx ends when the
	// device has gone, or no longer wants to know.
	Call(ctx context.Context, who im.Session, service, operation string, body []byte) (status int, answer []byte)
	// Refuse is the answer to what is not asked at all.
	Refuse(status int, code, detail string) (answer []byte)
}

// Ask lets devices ask businesses. It is called before the first connection.
func (a *Access) Ask(c Calls) { a.calls.by = c }

// calls are those under way, by session and id. A session that asks nothing
// costs nothing here.
type calls struct {
	by Calls // nil where nobody is asked

	mu  sync.Mutex
	of  map[*session]map[string]context.CancelFunc
	all int
}

// question is one call as it came.
type question struct {
	service, operation string
	id                 string // the correlation data
	answerTo           string
	properties         bool // the answer has them too
	limit              time.Duration
}

// questionOf reads where a publication leads; false if nowhere.
func questionOf(p longconn.Publication) (q question, ok bool) {
	path := strings.Split(strings.TrimPrefix(p.Topic, CallTopic+"/"), "/")
	q.answerTo, q.limit = AnswerTopic, callLimit
	if props := p.Properties; props != nil {
		q.id, q.properties = string(props.Correlation), true
		if props.ResponseTopic != "" {
			q.answerTo = props.ResponseTopic
		}
		if props.MessageExpiry != 0 {
			q.limit = min(q.limit, time.Duration(props.MessageExpiry)*time.Second)
		}
	}
	if len(path) == 3 {
		q.id, q.answerTo = path[2], AnswerTopic+"/"+path[2]
		path = path[:2]
	}
	if len(path) != 2 || len(q.id) > correlation || q.answerTo != AnswerTopic && !strings.HasPrefix(q.answerTo, AnswerTopic+"/") {
		return q, false
	}
	q.service, q.operation = path[0], path[1]
	return q, true
}

// call lets a device ask a business. Its publication is acknowledged at once:
// the answer is what it waits for.
func (a *Access) call(c longconn.Conn, s *session, p longconn.Publication) {
	q, ok := questionOf(p)
	if !ok {
		p.Ack(mqtt.TopicInvalid)
		return
	}
	p.Ack(mqtt.Success)
	ctx, done, refused := a.calls.begin(a.life, s, q)
	if refused != "" {
		a.refuse(c, q, http.StatusTooManyRequests, "too_many_calls", refused, func() {})
		return
	}
	a.spawn(func() {
		status, answer := a.calls.by.Call(ctx, s.Session(), q.service, q.operation, p.Payload)
		if s.closed() {
			done()
			return
		}
		a.answer(c, q, status, answer, done)
	})
}

// begin files a call, or tells why it cannot be. done ends it: a session has so
// many until their answers are written.
func (cs *calls) begin(life context.Context, s *session, q question) (ctx context.Context, done func(), refused string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	mine := cs.of[s]
	switch {
	case mine[q.id] != nil:
		return nil, nil, "a call with this correlation is under way"
	case len(mine) >= callsEach:
		return nil, nil, "a device may have " + strconv.Itoa(callsEach) + " calls under way"
	case cs.all >= callsAll:
		return nil, nil, "too many calls are under way here; ask again in a moment"
	}
	if mine == nil {
		if cs.of == nil {
			cs.of = map[*session]map[string]context.CancelFunc{}
		}
		mine = map[string]context.CancelFunc{}
		cs.of[s] = mine
	}
	ctx, cancel := context.WithCancel(life)
	// Whose time is over has left, as far as the business is concerned: it is no
	// deadline that the business has missed.
	timer := time.AfterFunc(q.limit, cancel)
	mine[q.id] = cancel
	cs.all++
	return ctx, func() {
		timer.Stop()
		cancel()
		cs.mu.Lock()
		defer cs.mu.Unlock()
		cs.all--
		delete(mine, q.id)
		if len(mine) == 0 {
			delete(cs.of, s)
		}
	}, ""
}

// cancel ends the call that a device no longer wants answered.
func (a *Access) cancel(s *session, p longconn.Publication) {
	id, there := strings.CutPrefix(p.Topic, CancelTopic+"/")
	if !there && p.Properties != nil {
		id = string(p.Properties.Correlation)
	}
	a.calls.mu.Lock()
	defer a.calls.mu.Unlock()
	if cancel := a.calls.of[s][id]; cancel != nil {
		cancel()
	}
	p.Ack(mqtt.Success) // it may have been answered already
}

// gone ends the calls of a session that has ended.
func (cs *calls) gone(s *session) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, cancel := range cs.of[s] {
		cancel()
	}
}

// answer tells a device what it asked for, once: at QoS 0, for an answer belongs
// to the connection that it was asked on.
func (a *Access) answer(c longconn.Conn, q question, status int, body []byte, done func()) {
	m := longconn.Message{Topic: q.answerTo, Payload: body, Lossy: true}
	if q.properties {
		m.Properties = &mqtt.Properties{
			PayloadFormat: 1, ContentType: "application/json", User: []mqtt.Pair{{Name: "status", Value: strconv.Itoa(status)}},
		}
		if q.id != "" {
			m.Properties.Correlation = []byte(q.id)
		}
	}
	c.Deliver(m, func(err error) {
		if errors.Is(err, longconn.ErrTooLarge) && status != http.StatusBadGateway {
			a.refuse(c, q, http.StatusBadGateway, "answer_too_large", "the answer does not fit into a packet; ask for less, or over HTTP", done)
			return
		}
		done()
		if err != nil {
			a.log.Debug("access: answer not told", "service", q.service, "operation", q.operation, "err", err)
		}
	})
}

// refuse answers a call with an error of the connection's own.
func (a *Access) refuse(c longconn.Conn, q question, status int, code, detail string, done func()) {
	a.answer(c, q, status, a.calls.by.Refuse(status, code, detail), done)
}
