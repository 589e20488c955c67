package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type followKey struct{}

// follow serves /data/follow?page=: the moving part of a page, rendered anew
// for its viewer as a stream of server-sent events, whenever it has changed. It
// asks for the page as the viewer would, so that all that guards the page
// guards the stream.
func (s *site) follow(w http.ResponseWriter, r *http.Request, sess *session) error {
	page, err := url.Parse(r.URL.Query().Get("page"))
	if err != nil || page.Host != "" || !strings.HasPrefix(page.Path, "/") || strings.HasPrefix(page.Path, "/data/") {
		return ErrNotFound
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events until its buffer is full
	defer out.SetWriteDeadline(time.Time{})   //nolint:errcheck // a writer without deadlines has none to undo

	tick := time.NewTicker(s.Refresh)
	defer tick.Stop()
	sent := ""
	for {
		html, ok := s.part(r, page)
		if !ok {
			return nil // it is gone, or no longer theirs: the module looks at the page itself
		}
		if html != sent {
			if err := sendPart(w, out, html, s.Refresh); err != nil {
				return nil // the viewer left
			}
			sent = html
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.Done:
			return nil
		case <-tick.C:
			if !s.sessions.live(sess) {
				return nil
			}
		}
	}
}

// part renders the moving part of a page for whoever sent r.
func (s *site) part(r *http.Request, page *url.URL) (string, bool) {
	inner := r.Clone(context.WithValue(r.Context(), followKey{}, true))
	inner.URL, inner.RequestURI = page, page.RequestURI()
	rec := &answered{head: http.Header{}, code: http.StatusOK}
	s.mux.ServeHTTP(rec, inner)
	return rec.body.String(), rec.code == http.StatusOK
}

func sendPart(w http.ResponseWriter, out *http.ResponseController, html string, every time.Duration) error {
	body, err := json.Marshal(html)
	if err != nil {
		return fmt.Errorf("web: encode part: %w", err)
	}
	_ = out.SetWriteDeadline(time.Now().Add(2*every + 30*time.Second)) // not every writer has deadlines
	if _, err := fmt.Fprintf(w, "event: part\ndata: %s\n\n", body); err != nil {
		return err
	}
	return out.Flush()
}
