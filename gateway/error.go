package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/herald-push/herald/push"
)

// Error is why a call was not answered. Clients program against Code.
type Error struct {
	Code       string
	Status     int // of HTTP
	Detail     string
	Part       string // the step that failed, of several
	Faults     []push.Fault
	RetryAfter time.Duration
	Err        error // for the log; never shown
}

func (e *Error) Error() string {
	s := "gateway: " + e.Code
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// The codes of the gateway's own errors; a declaration adds those of its
// business.
const (
	CodeUnknownService   = "unknown_service"
	CodeUnknownVersion   = "unknown_version"
	CodeUnknownOperation = "unknown_operation"
	CodeSunset           = "version_gone"
	CodeInvalidInput     = "invalid_input"
	CodeInputTooLarge    = "input_too_large"
	CodeForbidden        = "forbidden"
	CodeRateLimited      = "rate_limited"
	CodeCancelled        = "cancelled"

	CodeBusy          = "backend_busy"          // as many calls under way as it may have
	CodeOpen          = "backend_resting"       // the breaker is open
	CodeTimeout       = "backend_timeout"       //
	CodeUnreachable   = "backend_unreachable"   //
	CodePrivate       = "backend_private"       // its address is not a public one
	CodeRedirected    = "backend_redirected"    //
	CodeNotJSON       = "backend_not_json"      //
	CodeTooLarge      = "backend_too_large"     //
	CodeRefused       = "backend_refused"       // 4xx without a rule
	CodeFailed        = "backend_failed"        // 5xx without a rule
	CodeAuth          = "backend_auth"          // no credentials, or they are refused
	CodeMapping       = "mapping_failed"        //
	CodeMappingTime   = "mapping_timeout"       //
	CodeInvalidOutput = "backend_contract"      // what it answered is not what was declared
	CodeStale         = "webhook_stale"         //
	CodeSignature     = "webhook_signature"     //
	CodeReplayed      = "webhook_id_reused"     // the same id with another body
	CodeUnknownEvent  = "unknown_event"         //
	CodeNoEventID     = "webhook_without_id"    //
	CodeNotDelivered  = "event_not_deliverable" // what the mapping made of it is refused
)

// statuses are those of the codes above; what is not here is 502, for the
// business is at fault.
func statusOf(code string) int {
	switch code {
	case CodeUnknownService, CodeUnknownVersion, CodeUnknownOperation, CodeUnknownEvent:
		return http.StatusNotFound
	case CodeSunset:
		return http.StatusGone
	case CodeInvalidInput, CodeNoEventID, CodeNotDelivered:
		return http.StatusUnprocessableEntity
	case CodeInputTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeForbidden:
		return http.StatusForbidden
	case CodeRateLimited:
		return http.StatusTooManyRequests
	case CodeBusy, CodeOpen, CodeCancelled:
		return http.StatusServiceUnavailable
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeStale, CodeSignature:
		return http.StatusUnauthorized
	case CodeReplayed:
		return http.StatusConflict
	default:
		return http.StatusBadGateway
	}
}

func fail(code, detail string, cause error) *Error {
	return &Error{Code: code, Status: statusOf(code), Detail: detail, Err: cause}
}

// asError is err as one of ours.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "internal", Status: http.StatusInternalServerError, Detail: "something went wrong in Herald", Err: err}
}

// ours tells whether the business, and not the caller, is to be held against.
func (e *Error) backend() bool {
	switch e.Code {
	case CodeTimeout, CodeUnreachable, CodeNotJSON, CodeTooLarge, CodeFailed, CodeRedirected, CodePrivate, CodeInvalidOutput, CodeAuth:
		return true
	}
	return false
}

// transient tells whether the same call may well succeed in a moment.
func (e *Error) transient() bool {
	return e.Code == CodeTimeout || e.Code == CodeUnreachable || e.Code == CodeFailed
}
