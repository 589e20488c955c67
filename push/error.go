package push

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A failed attempt is one of these kinds, whatever the provider calls it. There
// are as many kinds as there are things a caller can do about them.
var (
	ErrUnregistered = errors.New("device is no longer registered")         // forget the token
	ErrRejected     = errors.New("provider refused the message")           // the message's fault: never send it again
	ErrCredentials  = errors.New("provider refused our credentials")       // close the lane, tell an operator
	ErrThrottled    = errors.New("provider asked us to slow down")         // wait Error.RetryAfter
	ErrQuota        = errors.New("provider's quota is used up")            // closed until Error.RetryAfter has passed
	ErrPolicy       = errors.New("a rule of the provider forbids it")      // not this road; perhaps another
	ErrUnavailable  = errors.New("provider did not take it")               // nothing was sent: try again with backoff
	ErrUnknown      = errors.New("provider's answer never came")           // it may have been sent: not a failure
	ErrUnreachable  = errors.New("device is not reachable by this road")   // not connected, no address: take the next road
	ErrConflict     = errors.New("same id, different notification")        // idempotency: answer 409
	ErrNotFound     = errors.New("not found")                              // no such thing in this app
	ErrAway         = errors.New("a store that Herald needs is not there") // answer 503
)

// kinds gives each kind of a failed attempt its name in JSON, metrics and pages.
var kinds = [...]struct {
	err  error
	name string
}{
	{ErrUnregistered, "unregistered"},
	{ErrRejected, "rejected"},
	{ErrCredentials, "credentials"},
	{ErrThrottled, "throttled"},
	{ErrQuota, "quota"},
	{ErrPolicy, "policy"},
	{ErrUnavailable, "unavailable"},
	{ErrUnknown, "unknown"},
	{ErrUnreachable, "unreachable"},
}

// KindName names the kind of a failed attempt; "" for nil, "unknown" for an
// error that has no kind.
func KindName(err error) string {
	if err == nil {
		return ""
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "unknown"
}

// KindNamed is the kind of that name; nil if none has it.
func KindNamed(name string) error {
	for _, k := range kinds {
		if k.name == name {
			return k.err
		}
	}
	return nil
}

// KindNames are the names of all kinds.
func KindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Scope says how much of a provider an error binds. What binds less than the
// whole tells nothing about the lane that the attempt went through.
type Scope string

// The scopes.
const (
	ScopeProvider Scope = ""       // the app's use of the provider
	ScopeOrigin   Scope = "origin" // one of the hosts behind a provider, such as one browser's push service
	ScopeToken    Scope = "token"  // the device's address alone
)

// Error is one failed attempt. Test its kind with errors.Is and read its
// fields with errors.As.
type Error struct {
	Provider   string        // registry name, such as "apns"
	Kind       error         // one of the sentinels above
	Code       string        // the provider's own code, such as "410" or "21610"
	Detail     string        // the provider's own word, such as "BadDeviceToken"
	RetryAfter time.Duration // 0 if the provider gave no hint
	Scope      Scope         // what the kind binds; zero is the whole provider
	Since      time.Time     // ErrUnregistered: when the provider learned of it; a device that registered later keeps its address
	Err        error         // what went wrong underneath; may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %v", e.Provider, e.Kind)
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// ScopeOf is what an error binds: [ScopeProvider] unless it says otherwise.
func ScopeOf(err error) Scope {
	var e *Error
	if errors.As(err, &e) {
		return e.Scope
	}
	return ScopeProvider
}

// Retryable reports whether a later attempt by the same road could succeed
// without the risk of a second copy that was not asked for.
func Retryable(err error) bool {
	return errors.Is(err, ErrThrottled) || errors.Is(err, ErrUnavailable)
}

// Fault is one thing wrong with an input, under the path of the field that has
// it, such as "to.devices[3]" or "ttl_seconds".
type Fault struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Invalid is an input with every fault it has.
type Invalid struct{ Faults []Fault }

func (e *Invalid) Error() string {
	faults := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		faults[i] = " " + f.Field + " " + f.Detail
	}
	return "invalid:" + strings.Join(faults, ";")
}
