package custom

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/herald-push/herald/providers"
)

// requestConfig is how a request is made: that of a message, or that of an
// access token. Strings of Path, Query, Headers and Body are templates.
type requestConfig struct {
	Method  string            `json:"method"` // default POST
	Path    string            `json:"path"`   // behind the endpoint; each part between slashes is escaped
	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Format  string            `json:"format"` // "json" (default) or "form"
	Sign    *signConfig       `json:"sign"`
}

// request is a compiled requestConfig.
type request struct {
	method  string
	base    string // the endpoint without a slash at its end
	path    []*text
	query   map[string]*text
	headers map[string]*text
	body    value // nil for none
	form    bool
	sign    *signer // nil for none
}

// reserved are headers that belong to the connection, not to a configuration.
var reserved = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Proxy-Authorization"}

// request compiles; prefix is "" or the path of rc in the configuration with a
// dot behind it.
func (c *compiler) request(prefix, endpoint string, rc *requestConfig) *request {
	like := sample(c.vars)
	r := &request{
		method: strings.ToUpper(either(rc.Method, http.MethodPost)), base: strings.TrimSuffix(endpoint, "/"),
		query: map[string]*text{}, headers: map[string]*text{}, form: rc.Format == "form",
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, r.method) {
		c.faults.Add(prefix+"method", "must be GET, POST, PUT, PATCH or DELETE")
	}
	if rc.Format != "" && rc.Format != "json" && rc.Format != "form" {
		c.faults.Add(prefix+"format", "must be json or form")
	}
	r.path = c.segments(prefix+"path", rc.Path, like)
	for key, source := range rc.Query {
		r.query[key] = c.text(prefix+"query."+key, source, like)
	}
	for key, source := range rc.Headers {
		c.header(prefix+"headers."+key, key)
		r.headers[key] = c.text(prefix+"headers."+key, source, like)
	}
	r.body = c.body(prefix+"body", rc, like)
	if rc.Sign != nil {
		r.sign = c.signer(prefix+"sign.", rc.Sign, r.body != nil)
	}
	return r
}

// segments compiles a path part by part, so that what a template puts into one
// stays in it.
func (c *compiler) segments(field, source string, like any) []*text {
	if source == "" {
		return nil
	}
	if !strings.HasPrefix(source, "/") || strings.ContainsAny(source, "?#") {
		c.faults.Add(field, "must begin with / and have no query")
		return nil
	}
	var parts []*text
	for part := range strings.SplitSeq(source[1:], "/") {
		parts = append(parts, c.text(field, part, like))
	}
	return parts
}

func (c *compiler) header(field, key string) {
	if !isToken(key) {
		c.faults.Add(field, "is not a header's name")
	}
	if slices.Contains(reserved, http.CanonicalHeaderKey(key)) {
		c.faults.Add(field, "is not for a configuration to set")
	}
}

func isToken(s string) bool {
	for _, b := range []byte(s) {
		if (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && (b < '0' || b > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return s != ""
}

func (c *compiler) body(field string, rc *requestConfig, like any) value {
	if len(rc.Body) == 0 || string(rc.Body) == "null" {
		return nil
	}
	v, err := decode(rc.Body)
	if err != nil {
		c.faults.Add(field, "is not JSON")
		return nil
	}
	if _, ok := v.(map[string]any); !ok && rc.Format == "form" {
		c.faults.Add(field, "must be an object to be sent as a form")
	}
	return c.value(field, v, like)
}

// content makes the body's value; nil if there is none.
func (r *request) content(s *scope) (any, error) {
	if r.body == nil {
		return nil, nil
	}
	return r.body(s)
}

// encode writes the body as it goes out.
func (r *request) encode(content any) []byte {
	switch {
	case r.body == nil:
		return nil
	case r.form:
		f := url.Values{}
		for k, v := range params(content) {
			f.Set(k, v)
		}
		return []byte(f.Encode())
	default:
		b, _ := toJSON(content) // it came from JSON
		return []byte(b)
	}
}

// params are the fields of a body as text; those that are no plain value are
// JSON.
func params(content any) map[string]string {
	out := map[string]string{}
	m, _ := content.(map[string]any)
	for k, v := range m {
		text, ok := wordOf(v)
		if !ok && v != nil {
			text, _ = toJSON(v)
		}
		out[k] = text
	}
	return out
}

// request makes the HTTP request with a body of content.
func (r *request) request(ctx context.Context, s *scope, content any) (*http.Request, error) {
	u, err := r.url(s)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if r.body != nil {
		header.Set("Content-Type", "application/json; charset=utf-8")
		if r.form {
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	for key, t := range r.headers {
		v, err := t.render(s)
		if err != nil {
			return nil, err
		}
		header.Set(key, v)
	}
	if r.sign != nil {
		if err := r.signed(s, u, header, content); err != nil {
			return nil, err
		}
	}
	for _, vs := range header {
		if strings.ContainsFunc(vs[0], func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, rejected("a header of the configuration cannot hold what this message says")
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.encode(content)))
	if err != nil {
		return nil, rejected("the request cannot be made")
	}
	req.Header = header
	return req, nil
}

// url renders the address. The host is the configuration's, whatever a
// template says.
func (r *request) url(s *scope) (*url.URL, error) {
	var address strings.Builder
	address.WriteString(r.base)
	for _, t := range r.path {
		part, err := t.render(s)
		if err != nil {
			return nil, err
		}
		if part == "." || part == ".." {
			return nil, rejected("the address cannot be made of this message")
		}
		address.WriteString("/" + url.PathEscape(part))
	}
	q := url.Values{}
	for key, t := range r.query {
		v, err := t.render(s)
		if err != nil {
			return nil, err
		}
		q.Set(key, v)
	}
	if len(q) > 0 {
		address.WriteString("?" + q.Encode())
	}
	u, err := url.Parse(address.String())
	if err != nil {
		return nil, rejected("the address cannot be made of this message")
	}
	return u, nil
}

// signed adds the signature to where the configuration wants it.
func (r *request) signed(s *scope, u *url.URL, header http.Header, content any) error {
	over := &signing{
		scope: s, Method: r.method, URL: u.String(), Path: u.EscapedPath(),
		RequestBody: string(r.encode(content)), Secret: r.sign.secret, params: params(content),
	}
	for k, v := range u.Query() {
		over.params[k] = v[0]
	}
	sig, err := r.sign.make(over)
	if err != nil {
		return err
	}
	switch r.sign.place {
	case inHeader:
		header.Set(r.sign.key, sig)
	case inQuery:
		q := u.Query()
		q.Set(r.sign.key, sig)
		u.RawQuery = q.Encode()
	case inBody:
		m, ok := content.(map[string]any)
		if !ok {
			return rejected("the body is no object that could hold a signature")
		}
		m[r.sign.key] = sig
	}
	return nil
}

// endpoint notes the faults of an address that requests go to. Plain HTTP and
// addresses of this network are for tests and for services next door; the
// configuration must say so.
func endpoint(faults *providers.Faults, field, value string, private bool) {
	faults.Require(field, value)
	if private {
		faults.Endpoint(field, value, "https", "http")
		return
	}
	before := len(*faults)
	faults.Endpoint(field, value, "https")
	if u, err := url.Parse(value); err == nil && u.Scheme == "http" && len(*faults) > before {
		(*faults)[before].Detail = "must be https; allow_private permits plain http"
	}
}
