package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What is kept of a vendor's requests: so many, and of each so many bytes.
const (
	keptRequests = 200
	keptBody     = 8 << 10
	keptAnswer   = 2 << 10
)

// Request is a request as it came, without its secrets.
type Request struct {
	ID      int64             `json:"id"` // counts the vendor's requests
	At      time.Time         `json:"at"`
	Proto   string            `json:"proto"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`   // the first 8 KiB
	Status  int               `json:"status"` // 0 if there was no answer
	Answer  string            `json:"answer"` // the first 2 KiB
	TookMs  float64           `json:"took_ms"`
	Fault   string            `json:"fault,omitempty"` // what the script did, as its rule says
}

// logged is a request as it is kept; it is made readable only if somebody asks.
type logged struct {
	id     int64
	at     time.Time
	took   time.Duration
	req    *http.Request
	body   []byte
	status int
	answer []byte
	do     *Action
}

// requestLog is the newest requests of a vendor.
type requestLog struct {
	mu   sync.Mutex
	ring [keptRequests]logged
	next int64
}

func (l *requestLog) add(r *http.Request, body []byte, w *watchedAnswer, do *Action, began time.Time) {
	if len(body) > keptBody {
		body = append([]byte{}, body[:keptBody]...) // lets go of the rest
	}
	status := w.status
	if status == 0 && (do == nil || !do.Hang && do.Reset == "" && do.GoAway != "cut") && r.Context().Err() == nil {
		status = http.StatusOK // a handler that says nothing
	}
	entry := logged{at: began.UTC(), took: time.Since(began), req: r, body: body, status: status, answer: w.begins, do: do}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	entry.id = l.next
	l.ring[l.next%keptRequests] = entry
}

// newest returns at most limit requests in which text occurs, newest first.
func (l *requestLog) newest(limit int, text string) []Request {
	l.mu.Lock()
	kept := make([]logged, 0, min(l.next, keptRequests))
	for id := l.next; id > 0 && id > l.next-keptRequests; id-- {
		kept = append(kept, l.ring[id%keptRequests])
	}
	l.mu.Unlock()
	found := []Request{}
	for i := range kept {
		if len(found) == limit {
			break
		}
		r := kept[i].readable()
		if text == "" || strings.Contains(r.Path, text) || strings.Contains(r.Body, text) || strings.Contains(r.Answer, text) {
			found = append(found, r)
		}
	}
	return found
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.next = [keptRequests]logged{}, 0
}

func (e *logged) readable() Request {
	r := Request{
		ID: e.id, At: e.at, Proto: e.req.Proto, Method: e.req.Method, Path: hide(e.req.URL.RequestURI()),
		Headers: map[string]string{}, Body: readable(e.body), Status: e.status, Answer: readable(e.answer),
		TookMs: float64(e.took.Microseconds()) / 1000,
	}
	for name, values := range e.req.Header {
		value := strings.Join(values, ", ")
		if secretHeader.MatchString(name) {
			scheme, _, more := strings.Cut(value, " ")
			if value = hidden; more && len(scheme) < 12 {
				value = scheme + " " + hidden
			}
		}
		r.Headers[name] = value
	}
	if e.do != nil {
		text, err := json.Marshal(e.do)
		if err == nil {
			r.Fault = string(text)
		}
	}
	return r
}

// readable is a body as text without its secrets.
func readable(b []byte) string {
	if !utf8.Valid(b) && !utf8.Valid(b[:max(0, len(b)-utf8.UTFMax)]) {
		return fmt.Sprintf("[%d bytes that are not text]", len(b))
	}
	return hide(string(b))
}

const hidden = "[hidden]"

var (
	secretHeader = regexp.MustCompile(`(?i)auth|token|secret|key|sign|cookie`)
	secretWords  = `(?:[a-z_]*secret|password|assertion|access_?token|auth_?token|sign|signature|private_?key)`
	secretJSON   = regexp.MustCompile(`(?i)("` + secretWords + `"\s*:\s*")[^"]*`)
	secretForm   = regexp.MustCompile(`(?i)((?:^|[?&])` + secretWords + `=)[^&]*`)
)

// hide takes secrets out of JSON, forms and addresses.
func hide(text string) string {
	return secretForm.ReplaceAllString(secretJSON.ReplaceAllString(text, "${1}"+hidden), "${1}"+hidden)
}
