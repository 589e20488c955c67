package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/herald-push/herald/api"
)

// opsDoor answers about health and numbers in processes that have no API.
type opsDoor struct {
	listener net.Listener
	checks   map[string]api.Check
	handler  *http.ServeMux
	grace    time.Duration
	log      *slog.Logger
}

func newOpsDoor(listener net.Listener, checks map[string]api.Check, metrics *prometheus.Registry, c api.Config, log *slog.Logger) *opsDoor {
	d := &opsDoor{listener: listener, checks: checks, handler: http.NewServeMux(), grace: c.Grace, log: log}
	d.handler.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	d.handler.HandleFunc("GET /readyz", d.ready)
	if c.MetricsToken != "" { // whoever may reach the port may not have it without
		d.handler.Handle("GET /debug/pprof/", guarded(c.MetricsToken, profiles()))
	}
	d.handler.Handle("GET /metrics", guarded(c.MetricsToken, promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	return d
}

// profiles serves /debug/pprof/ as net/http/pprof does.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound) // a command line may hold a password
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// guarded asks for a bearer token, if there is one to ask for.
func guarded(token string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token != "" && !sameSecret(r.Header.Get("Authorization"), "Bearer "+token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the metrics token is needed", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ready tells which of the things that this process needs are there.
func (d *opsDoor) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	status, faults := http.StatusOK, map[string]string{}
	for name, check := range d.checks {
		if err := check(ctx); err != nil {
			status, faults[name] = http.StatusServiceUnavailable, err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": status == http.StatusOK, "faults": faults}) // the caller went away
}

// Run answers until ctx ends.
func (d *opsDoor) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: d.handler, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(d.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", d.listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.grace)
	defer cancel()
	return server.Shutdown(grace)
}
