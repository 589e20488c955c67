package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/push"
)

const (
	maxItems = 1000 // of a batch
	// atOnce is how many items of one batch wait for the queue together. The
	// queue gathers what waits into one write, so one by one would be slow.
	atOnce = 256
)

type batchRequest struct {
	Notifications []json.RawMessage `json:"notifications"`
}

var batchForm = newForm[batchRequest]()

// itemResult is what became of one item of a batch.
type itemResult struct {
	Index   int      `json:"index"`
	ID      string   `json:"id,omitempty"`
	Status  int      `json:"status"`
	Problem *Problem `json:"problem,omitempty"`
}

type resultsResponse struct {
	Results []itemResult `json:"results"`
}

// createBatch serves POST /v1/notifications:batch.
//
// Items stand for themselves: each is answered as POST /v1/notifications would
// answer it, in the order given. The batch is 200 when it could be read, and
// 503 when the queue took none of it.
func (s *Server) createBatch(c echo.Context, who caller) error {
	req, fs, err := read(c, maxBatch, batchForm)
	if err != nil {
		return err
	}
	if n := len(req.Notifications); !fs.has("notifications") && (n == 0 || n > maxItems) {
		fs.addf("notifications", "must have 1 to %d items, not %d", maxItems, n)
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.charge(who.app, len(req.Notifications)-1); err != nil { // the request was one
		return err
	}

	ctx := c.Request().Context()
	errs := make([]error, len(req.Notifications))
	results := make([]itemResult, len(req.Notifications))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, raw := range req.Notifications {
		group.Go(func() error {
			p, err := s.enqueueItem(c, who, raw)
			errs[i], results[i] = err, result(c, i, p.ID, http.StatusAccepted, err)
			return nil
		})
	}
	_ = group.Wait() // items keep their own errors
	if err := allAway(errs); err != nil {
		return err
	}
	s.logItems(ctx, c, errs)
	return c.JSON(http.StatusOK, resultsResponse{results})
}

// enqueueItem is enqueue in a goroutine of ours, where a panic would end the
// whole program instead of one request.
func (s *Server) enqueueItem(c echo.Context, who caller, raw json.RawMessage) (p push.Progress, err error) {
	err = survive(func(c echo.Context) error {
		p, err = s.enqueue(c.Request().Context(), who.app, raw)
		return err
	}, c)
	return p, err
}

func result(c echo.Context, index int, id string, status int, err error) itemResult {
	if err == nil {
		return itemResult{Index: index, ID: id, Status: status}
	}
	p := problemOf(err, requestID(c))
	return itemResult{Index: index, ID: id, Status: p.Status, Problem: &p}
}

// logItems logs what is our own fault, once for the batch.
func (s *Server) logItems(ctx context.Context, c echo.Context, errs []error) {
	var ours []error
	for _, err := range errs {
		if err != nil && refuse(err).status >= http.StatusInternalServerError {
			ours = append(ours, err)
		}
	}
	if len(ours) > 0 {
		s.log.ErrorContext(ctx, "items failed", "route", s.routeName(c), "request_id", requestID(c),
			"items", len(ours), "first", ours[0])
	}
}

// allAway returns the first error if the queue was away for every item.
func allAway(errs []error) error {
	for _, err := range errs {
		if !errors.Is(err, push.ErrAway) {
			return nil
		}
	}
	return fmt.Errorf("api: none of %d items was taken: %w", len(errs), errs[0])
}
