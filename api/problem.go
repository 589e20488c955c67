package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/places"
	"github.com/herald-push/herald/push"
)

// Problem is how every error looks from outside: RFC 9457, with a code to
// program against and every faulty field of the input.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Code      string       `json:"code"`
	Detail    string       `json:"detail,omitempty"`
	Faults    []push.Fault `json:"faults,omitempty"`
	Part      string       `json:"part,omitempty"` // of a call to a business: the step that failed
	RequestID string       `json:"request_id"`
	// RetryAfterSeconds is the header Retry-After, for doors that have none.
	RetryAfterSeconds int `json:"retry_after_seconds,omitempty"`
}

const (
	problemType  = "urn:herald:problem:" // and the code
	problemMedia = "application/problem+json"
)

// refusal is an error of this room, with its status and words for the caller.
type refusal struct {
	status     int
	code       string
	detail     string
	retryAfter time.Duration
	challenge  string // WWW-Authenticate
}

func (r *refusal) Error() string { return "api: " + r.code + ": " + r.detail }

// retrySeconds is retryAfter in whole seconds, rounded up: zero would mean "at
// once".
func (r *refusal) retrySeconds() int { return int((r.retryAfter + time.Second - 1) / time.Second) }

func notFound(what string) error {
	return &refusal{status: http.StatusNotFound, code: "not_found", detail: "there is no such " + what}
}

// refuse is the only place where an error becomes a status. An error it does
// not know is our own fault and is shown to nobody.
func refuse(err error) *refusal {
	var own *refusal
	var router *echo.HTTPError
	var business *gateway.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &business):
		return &refusal{status: business.Status, code: business.Code, detail: business.Detail, retryAfter: business.RetryAfter}
	case errors.Is(err, places.ErrNoConsent):
		return &refusal{status: http.StatusForbidden, code: "no_consent", detail: "the device's person has not agreed to tell where it is: PUT /v1/devices/{device}/consent"}
	case errors.As(err, new(*push.Invalid)):
		return &refusal{status: http.StatusUnprocessableEntity, code: "invalid", detail: "the request has faults; each names its field"}
	case errors.Is(err, push.ErrConflict):
		return &refusal{status: http.StatusConflict, code: "id_conflict", detail: "a different notification was sent with this id in the last 24 hours"}
	case errors.Is(err, push.ErrNotFound):
		return &refusal{status: http.StatusNotFound, code: "not_found", detail: "there is no such thing in this app"}
	case errors.Is(err, push.ErrAway), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &refusal{status: http.StatusServiceUnavailable, code: "unavailable", detail: "a store that Herald needs is away; ask again with the same id", retryAfter: time.Second}
	case errors.As(err, &router):
		return routerRefusal(router)
	default:
		return &refusal{status: http.StatusInternalServerError, code: "internal", detail: "something went wrong in Herald; the request id finds it in the log"}
	}
}

func routerRefusal(err *echo.HTTPError) *refusal {
	switch err.Code {
	case http.StatusNotFound:
		return &refusal{status: err.Code, code: "not_found", detail: "there is nothing at this path"}
	case http.StatusMethodNotAllowed:
		return &refusal{status: err.Code, code: "method_not_allowed", detail: "this path does not take this method"}
	default:
		return &refusal{status: err.Code, code: "refused", detail: http.StatusText(err.Code)}
	}
}

// problemOf writes an error down for the caller.
func problemOf(err error, requestID string) Problem {
	r := refuse(err)
	p := Problem{
		Type: problemType + r.code, Title: http.StatusText(r.status), Status: r.status,
		Code: r.code, Detail: r.detail, RequestID: requestID, RetryAfterSeconds: r.retrySeconds(),
	}
	if invalid := (*push.Invalid)(nil); errors.As(err, &invalid) {
		p.Faults = invalid.Faults
	}
	if business := (*gateway.Error)(nil); errors.As(err, &business) {
		p.Faults, p.Part = business.Faults, business.Part
	}
	return p
}

// fail answers an error and, where it is ours, logs it in full.
func (s *Server) fail(err error, c echo.Context) {
	r := refuse(err)
	ctx := c.Request().Context()
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		// The caller has left: nobody reads the answer, and nothing is wrong.
	case errors.As(err, new(*gateway.Error)):
		s.log.DebugContext(ctx, "a business did not answer", "route", c.Path(), "request_id", requestID(c), "err", err)
	case r.status == http.StatusServiceUnavailable:
		s.log.WarnContext(ctx, "request refused", "route", c.Path(), "request_id", requestID(c), "err", err)
	case r.status >= http.StatusInternalServerError:
		s.log.ErrorContext(ctx, "request failed", "route", c.Path(), "request_id", requestID(c), "err", err)
	}
	if c.Response().Committed {
		return
	}
	h := c.Response().Header()
	if r.retryAfter > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(r.retrySeconds()))
	}
	if r.challenge != "" {
		h.Set(echo.HeaderWWWAuthenticate, r.challenge)
	}
	h.Set(echo.HeaderContentType, problemMedia)
	c.Response().WriteHeader(r.status)
	// The caller may be gone by now; there is nobody left to tell.
	_ = c.Echo().JSONSerializer.Serialize(c, problemOf(err, requestID(c)), "")
}
