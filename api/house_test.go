package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// house is a server over a world, with its log kept.
type house struct {
	*world
	*Server
	log *safeBuffer
}

func open(t *testing.T, change ...func(*Config, *Parts)) *house {
	t.Helper()
	h := &house{world: newWorld(), log: &safeBuffer{}}
	cfg, parts := DefaultConfig(), h.furnish()
	parts.Log = slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, f := range change {
		f(&cfg, &parts)
	}
	srv, err := New(cfg, parts)
	if err != nil {
		t.Fatalf("New() error = %v", err)
	}
	h.Server = srv
	return h
}

type answer struct {
	status int
	header http.Header
	raw    string
}

// problem reads the answer as one, or fails the test.
func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if got := a.header.Get("Content-Type"); got != problemMedia {
		t.Fatalf("%d answer has Content-Type %q, want %q: %s", a.status, got, problemMedia, a.raw)
	}
	if err := json.Unmarshal([]byte(a.raw), &p); err != nil {
		t.Fatalf("problem is not JSON: %v: %s", err, a.raw)
	}
	if p.Status != a.status || p.RequestID == "" || p.Code == "" || p.Title == "" || p.Type == "" {
		t.Errorf("problem %+v of a %d answer is not complete", p, a.status)
	}
	return p
}

// ask sends one request with a key or token through the whole server.
func (h *house) ask(method, path, key, body string, headers ...string) answer {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequestWithContext(context.Background(), method, path, http.NoBody)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.Handler().ServeHTTP(rec, r)
	raw, _ := io.ReadAll(rec.Result().Body)
	return answer{rec.Code, rec.Result().Header, string(raw)}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
