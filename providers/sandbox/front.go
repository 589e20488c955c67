package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald/internal/h2"
)

// frontBody is how much of a request's body rules and the log look at.
const frontBody = 64 << 10

// front is the door of a vendor: every request that comes is written down and
// may meet the script before the vendor sees it.
func (v *vendor) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(io.LimitReader(r.Body, frontBody))
		if err != nil {
			return // the client has gone
		}
		if len(body) == frontBody {
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), r.Body))
		} else {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		do := v.script.next(false, func(m *Match) bool { return m.ofRequest(r, body) })
		watched := &watchedAnswer{ResponseWriter: w}
		defer func() { v.log.add(r, body, watched, do, began) }() // an aborted request too
		if do == nil || !v.play(do, watched, r) {
			next.ServeHTTP(watched, r)
		}
	})
}

// play does what a rule asks for, and reports whether that was the answer.
func (v *vendor) play(do *Action, w http.ResponseWriter, r *http.Request) bool {
	if !pause(r, do.Spread.draw(do.LatencyMs, do.JitterMs)) {
		return true
	}
	if do.RetryAfterS > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(do.RetryAfterS))
	}
	switch {
	case do.Hang:
		<-r.Context().Done()
	case do.Reset != "":
		panic(v.abort(r, h2.Abort{Code: resetCodes[do.Reset]}))
	case do.GoAway == "cut":
		panic(v.abort(r, h2.Abort{GoAway: true}))
	case do.HTML:
		badGateway(w)
	case do.Code != "":
		v.counts.requests.Add(1)
		v.refuse(w, do.Code)
	case do.Status != 0:
		w.WriteHeader(do.Status)
		_, _ = io.WriteString(w, do.Body)
	default:
		if do.GoAway != "" {
			w.Header().Set("Connection", "close")
		}
		return false
	}
	return true
}

// abort is what to panic with: over HTTP/1 there is only the connection to cut.
func (v *vendor) abort(r *http.Request, a h2.Abort) any {
	if r.ProtoMajor < 2 {
		return http.ErrAbortHandler
	}
	return a
}

// pause waits, and reports false if the client left meanwhile.
func pause(r *http.Request, wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// badGateway is what something between the vendor and us says.
func badGateway(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>")
}

// watchedAnswer keeps the status and the beginning of an answer.
type watchedAnswer struct {
	http.ResponseWriter
	status int
	begins []byte
}

func (w *watchedAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedAnswer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if room := keptAnswer - len(w.begins); room > 0 {
		w.begins = append(w.begins, p[:min(room, len(p))]...)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the writer underneath.
func (w *watchedAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
