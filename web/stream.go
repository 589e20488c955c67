package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// update is one event of the stream: what the charts draw, and those parts of
// the page that look different now.
type update struct {
	Charts map[string]chart  `json:"charts"`
	Parts  map[string]string `json:"parts"`
}

// stream serves /data/<page>/stream: server-sent events, the first at once, then
// one per refresh. It ends when the viewer leaves or signs out, or the server stops.
func (s *site) stream(w http.ResponseWriter, r *http.Request, sess *session, page *insight) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events until its buffer is full

	// The deadlines of sendUpdate are not for the connection's next request.
	defer out.SetWriteDeadline(time.Time{}) //nolint:errcheck // a writer without deadlines has none to undo

	tick := time.NewTicker(s.board.refresh(v.window))
	defer tick.Stop()
	sent := map[string]string{}
	for {
		now := s.insightView(r.Context(), sess, page, v)
		if now.waiting {
			return nil // the viewer left, or the server stops
		}
		if err := s.sendUpdate(w, out, now, sent); err != nil {
			s.Log.DebugContext(r.Context(), "viewer left", "err", err)
			return nil // headers are out: there is nobody to answer
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.Done:
			return nil
		case <-tick.C:
			// A role that was taken away ends the stream; a store that is away does not.
			if in, err := s.admit(r.Context(), sess); !s.sessions.live(sess) || err == nil && !(in && sess.may(v.app, Viewer)) {
				return nil
			}
		}
	}
}

// sendUpdate writes one event with the parts that differ from sent, and notes
// them there.
func (s *site) sendUpdate(w http.ResponseWriter, out *http.ResponseController, v insightView, sent map[string]string) error {
	parts, err := s.parts(v)
	if err != nil {
		return err
	}
	for name, html := range parts {
		if sent[name] == html {
			delete(parts, name)
		} else {
			sent[name] = html
		}
	}
	body, err := json.Marshal(update{v.charts(), parts})
	if err != nil {
		return fmt.Errorf("web: encode update: %w", err)
	}
	// A server's write timeout is for pages; a stream renews it with each event.
	// Writers that cannot (tests' recorders) say so, and need not.
	_ = out.SetWriteDeadline(time.Now().Add(2*s.board.refresh(v.window) + 10*time.Second))
	if _, err := fmt.Fprintf(w, "event: numbers\ndata: %s\n\n", body); err != nil {
		return err
	}
	return out.Flush()
}
