package gateway

import "encoding/json"

// Declaration is a service as its owner writes it down, in YAML or JSON. It is
// the whole of what Herald knows of a business.
type Declaration struct {
	App      string             `json:"app"` // in files of the operator's folder only; else the key says it
	Service  string             `json:"service"`
	Title    string             `json:"title,omitempty"`
	Default  string             `json:"default,omitempty"` // the version of callers who name none; default: the lowest
	Backends map[string]Backend `json:"backends"`
	Versions map[string]Version `json:"versions"`
	Inbound  map[string]Inbound `json:"inbound,omitempty"`
}

// Backend is a server of the business.
type Backend struct {
	URL          string            `json:"url"`
	Headers      map[string]string `json:"headers,omitempty"`
	AllowPrivate bool              `json:"allow_private,omitempty"` // may be in a private network; the operator's to permit
	CA           string            `json:"ca,omitempty"`            // PEM, beside the system's
	Auth         *Auth             `json:"auth,omitempty"`
	TimeoutMS    int               `json:"timeout_ms,omitempty"`  // of one attempt; default 2,000, at most 30,000
	Concurrency  int               `json:"concurrency,omitempty"` // calls under way at a time; default 64
	MaxBytes     int               `json:"max_bytes,omitempty"`   // of an answer; default 1 MiB, at most 16 MiB
	Breaker      *Breaker          `json:"breaker,omitempty"`
}

// Breaker says when a back end is left alone. Default: half of at least 10
// calls in 10 s failed; then for 5 s.
type Breaker struct {
	Percent       int `json:"percent"`
	Calls         int `json:"calls"`
	WindowSeconds int `json:"window_seconds"`
	OpenMS        int `json:"open_ms"`
}

// Auth is how Herald proves itself to a back end. Secrets are named: "name" is
// one of the app's, written through the API; in the operator's files also
// "env:NAME" or "file:PATH".
type Auth struct {
	Type string `json:"type"` // api_key, basic, hmac, oauth2 or mtls

	Secret string `json:"secret"` // api_key, basic's password, hmac's key, oauth2's client secret, mtls's certificate and key as PEM

	Header string `json:"header,omitempty"` // api_key, hmac; default Authorization, X-Signature
	Query  string `json:"query,omitempty"`  // api_key: a query parameter instead
	Prefix string `json:"prefix,omitempty"` // before the key or signature, such as "Bearer "

	User string `json:"user,omitempty"` // basic

	Signing Signing `json:"signing,omitzero"` // hmac

	TokenURL string   `json:"token_url,omitempty"` // oauth2, client credentials
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
}

// Signing is a recipe for an HMAC.
type Signing struct {
	// Payload is what is signed, a template with {id}, {timestamp}, {nonce},
	// {method}, {path}, {query} and {body}. Default "{timestamp}.{body}".
	Payload         string `json:"payload,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"` // sha256 (default) or sha512
	Encoding        string `json:"encoding,omitempty"`  // hex (default) or base64
	TimestampHeader string `json:"timestamp_header,omitempty"`
	NonceHeader     string `json:"nonce_header,omitempty"`
}

// Version is one contract with clients. Several live at once.
type Version struct {
	Deprecated string               `json:"deprecated,omitempty"` // the day, YYYY-MM-DD, from which clients are told
	Sunset     string               `json:"sunset,omitempty"`     // the day from which it is answered no more
	Operations map[string]Operation `json:"operations"`
}

// Operation is what a client may ask for.
type Operation struct {
	Title  string          `json:"title,omitempty"`
	Input  json.RawMessage `json:"input,omitempty"`  // JSON Schema
	Output json.RawMessage `json:"output,omitempty"` // JSON Schema

	Adapt   *Adapt          `json:"adapt,omitempty"`   // one of: by another version,
	Call    *Step           `json:"call,omitempty"`    // by one call,
	Calls   map[string]Step `json:"calls,omitempty"`   // by several, in one answer,
	Compose string          `json:"compose,omitempty"` // made by jq of {name: result}
	Mock    bool            `json:"mock,omitempty"`    // or of its examples, whatever else there is

	Pagination *Pagination         `json:"pagination,omitempty"`
	Limits     map[string]Rate     `json:"limits,omitempty"` // by app, user, device
	Cache      *Cache              `json:"cache,omitempty"`
	Roles      []string            `json:"roles,omitempty"`  // who may call; default everyone of the app
	Fields     map[string][]string `json:"fields,omitempty"` // path in the output → the roles that see it
	MaxInput   int                 `json:"max_input_bytes,omitempty"`
	Sample     *Sample             `json:"sample,omitempty"`
	Canary     *Variant            `json:"canary,omitempty"` // answers some calls
	Shadow     *Variant            `json:"shadow,omitempty"` // is asked beside, and compared
	Examples   []Example           `json:"examples,omitempty"`
}

// Adapt answers an operation by one of another version: jq turns the input
// into the other's, and its output into this one's.
type Adapt struct {
	Version   string `json:"version"`
	Operation string `json:"operation,omitempty"` // default: of the same name
	Input     string `json:"input,omitempty"`
	Output    string `json:"output,omitempty"`
}

// Step is one call to a back end.
//
// Request is jq from the input to {path, query, headers, body}; without it the
// input's fields fill the placeholders of Path and then the query (GET, HEAD,
// DELETE) or the body. Response is jq from the body of the answer to the result.
// Both know $input, $caller, $page, $parts and $status.
type Step struct {
	Backend    string            `json:"backend"`
	Method     string            `json:"method,omitempty"` // default GET
	Path       string            `json:"path"`             // behind the back end's URL, with {placeholders}
	Headers    map[string]string `json:"headers,omitempty"`
	Request    string            `json:"request,omitempty"`
	Response   string            `json:"response,omitempty"`
	Errors     []ErrorRule       `json:"errors,omitempty"`
	TimeoutMS  int               `json:"timeout_ms,omitempty"` // default: the back end's
	Retries    int               `json:"retries,omitempty"`    // of what is idempotent, at most 3
	Idempotent bool              `json:"idempotent,omitempty"` // a POST or PATCH that may be repeated
	Optional   bool              `json:"optional,omitempty"`   // the answer is given without it
	Fallback   json.RawMessage   `json:"fallback,omitempty"`   // instead of null where an optional one failed
	Needs      []string          `json:"needs,omitempty"`      // steps before, found in $parts
}

// ErrorRule gives an answer of the back end a code that clients can rely on.
type ErrorRule struct {
	When   string `json:"when"`   // jq over {status, body}; true means this rule
	Code   string `json:"code"`   // such as sold_out
	Status int    `json:"status"` // 400 to 599; default 422
	Detail string `json:"detail,omitempty"`
}

// Pagination turns {cursor, limit} of the caller into what the back end knows,
// found by jq in $page as {number, offset, limit, cursor}.
type Pagination struct {
	Style string `json:"style"` // page (from 1), offset or cursor
	Limit int    `json:"limit"` // default of the caller's limit; default 20
	Max   int    `json:"max"`   // default 100
	// Next is jq over the back end's body: for cursor the cursor of the next page
	// or null, else whether there is one. Of several calls it is that of Of.
	Next string `json:"next"`
	Of   string `json:"of,omitempty"`
}

// Rate is how often something may be asked for.
type Rate struct {
	PerSecond float64 `json:"per_second"`
	Burst     int     `json:"burst"`
}

// Cache says how long an answer may serve again. Only operations without
// effects have one.
type Cache struct {
	Per                         string `json:"per"`     // who shares answers: app, user or device
	Seconds                     int    `json:"seconds"` // 0: what the back end's Cache-Control says
	StaleWhileRevalidateSeconds int    `json:"stale_while_revalidate_seconds,omitempty"`
	StaleIfErrorSeconds         int    `json:"stale_if_error_seconds,omitempty"`
}

// Sample keeps some exchanges, with fields masked.
type Sample struct {
	Percent float64  `json:"percent"`
	Mask    []string `json:"mask,omitempty"` // names of fields, at any depth
}

// Variant is another way to answer.
type Variant struct {
	Percent float64 `json:"percent"`
	Call    Step    `json:"call"`
}

// Example shows an operation: for readers, for mock mode, and for checks.
type Example struct {
	Name   string          `json:"name,omitempty"`
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
}

// Inbound is an event that the business reports.
type Inbound struct {
	Verify Verify `json:"verify"`
	ID     string `json:"id,omitempty"`     // jq over {body, headers}: the event's id; default: the header webhook-id
	Notify string `json:"notify,omitempty"` // jq from the body to a notification as the API takes it
	// Message is jq from the body to a [Message] in the service's own name. null of
	// either program sends nothing.
	Message  string           `json:"message,omitempty"`
	Schema   json.RawMessage  `json:"schema,omitempty"`
	Examples []InboundExample `json:"examples,omitempty"`
}

// InboundExample shows an event.
type InboundExample struct {
	Name string          `json:"name,omitempty"`
	Body json.RawMessage `json:"body"`
}

// Verify is how an event proves whose it is.
type Verify struct {
	Type             string  `json:"type"` // standard_webhooks or hmac
	Secret           string  `json:"secret"`
	Header           string  `json:"header,omitempty"` // hmac; default X-Signature
	Prefix           string  `json:"prefix,omitempty"`
	ToleranceSeconds int     `json:"tolerance_seconds,omitempty"` // how old or early it may be; default 300
	Signing          Signing `json:"signing,omitzero"`
}
