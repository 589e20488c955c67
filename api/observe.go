package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const maxRequestID = 64

// traceKey is where a request's context has the trace of what it hands in.
type traceKey struct{}

// observe surrounds every request: it gives it an id and a time limit for the
// wire, survives its panics, answers its errors, counts it and logs it.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		c.Response().Header().Set(echo.HeaderXRequestID, pickRequestID(c.Request().Header.Get(echo.HeaderXRequestID)))
		release := s.limitWire(c)
		defer release()
		if s.parts.Trace != nil {
			ctx, traced, end := s.parts.Trace(c.Request())
			if traced != "" {
				ctx = context.WithValue(ctx, traceKey{}, traced)
			}
			c.SetRequest(c.Request().WithContext(ctx))
			defer func() { end(s.routeName(c), c.Response().Status) }()
		}

		if err := survive(next, c); err != nil {
			s.fail(err, c)
		}

		took := time.Since(start)
		status := c.Response().Status
		s.seconds.WithLabelValues(c.Request().Method, s.routeName(c), strconv.Itoa(status)).Observe(took.Seconds())
		if ctx := c.Request().Context(); s.log.Enabled(ctx, slog.LevelDebug) {
			s.log.DebugContext(ctx, "request",
				"method", c.Request().Method, "route", s.routeName(c), "status", status,
				"bytes", c.Response().Size, "took", took, "request_id", requestID(c))
		}
		return nil
	}
}

// survive turns a panic into an error that carries the stack.
func survive(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("api: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return next(c)
}

// limitWire bounds how long a caller may take to send its body and to read the
// answer. The server itself sets no such limits, for what is mounted beside
// the API may hold its connections open for long.
func (s *Server) limitWire(c echo.Context) (release func()) {
	rc := http.NewResponseController(c.Response().Writer)
	end := time.Now().Add(s.cfg.Timeout + s.cfg.WireTimeout)
	// Not every ResponseWriter has deadlines, a test's recorder for one.
	if rc.SetWriteDeadline(end) != nil {
		return func() {}
	}
	if c.Request().ContentLength != 0 {
		_ = rc.SetReadDeadline(end)
	}
	return func() { _ = rc.SetWriteDeadline(time.Time{}) }
}

// pickRequestID takes the caller's id if it can be repeated without harm.
func pickRequestID(given string) string {
	if given == "" || len(given) > maxRequestID {
		return rand.Text()
	}
	for i := range len(given) {
		if c := given[i]; !isWord(c) && c != '.' && c != ':' && c != '/' && c != '=' && c != '+' {
			return rand.Text()
		}
	}
	return given
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// routeName is the pattern of the path, so that ids do not become labels.
func (s *Server) routeName(c echo.Context) string {
	if name := s.names[c.Path()]; name != "" {
		return name
	}
	return "none"
}

func newSeconds() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "herald_api_request_seconds",
		Help:    "Time from the first byte of a request's header to its answer, by route and status.",
		Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"method", "route", "status"})
}
