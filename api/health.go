package api

import (
	"context"
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// checkTime is how long a check of GET /readyz may take. Load balancers ask
// every few seconds and give up themselves.
const checkTime = 2 * time.Second

type readyResponse struct {
	Ready  bool          `json:"ready"`
	Checks []checkResult `json:"checks"`
}

type checkResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// healthy serves GET /healthz: the process answers. That is all it means.
func (s *Server) healthy(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// ready serves GET /readyz: 200 when everything Herald needs is there, else
// 503 with words about what is not.
func (s *Server) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), checkTime)
	defer cancel()
	res := readyResponse{Ready: true, Checks: s.runChecks(ctx)}
	for _, check := range res.Checks {
		res.Ready = res.Ready && check.OK
	}
	if !res.Ready {
		return c.JSON(http.StatusServiceUnavailable, res)
	}
	return c.JSON(http.StatusOK, res)
}

// runChecks runs all checks at once. One that does not heed its context is
// left behind and counts as failed.
func (s *Server) runChecks(ctx context.Context) []checkResult {
	var wait sync.WaitGroup
	results := make([]checkResult, 0, len(s.parts.Checks))
	for name := range s.parts.Checks {
		results = append(results, checkResult{Name: name})
	}
	slices.SortFunc(results, func(a, b checkResult) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for i := range results {
		r := &results[i]
		wait.Go(func() {
			done := make(chan error, 1)
			go func() { done <- s.parts.Checks[r.Name](ctx) }()
			var err error
			select {
			case err = <-done:
			case <-ctx.Done():
				err = ctx.Err()
			}
			if r.OK = err == nil; !r.OK {
				r.Detail = err.Error()
			}
		})
	}
	wait.Wait()
	return results
}

// metrics serves GET /metrics, behind its own token if there is one.
func (s *Server) metrics(h http.Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		want := s.cfg.MetricsToken
		if want != "" && subtle.ConstantTimeCompare([]byte(bearer(c.Request())), []byte(want)) != 1 {
			return errWrongKey()
		}
		h.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}
