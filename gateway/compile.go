package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/push"
)

// Limits of a declaration.
const (
	maxTimeout     = 30 * time.Second
	maxAnswer      = 16 << 20
	defaultAnswer  = 1 << 20
	defaultInput   = 64 << 10
	maxInput       = 1 << 20
	maxRetries     = 3
	maxAdapters    = 8 // one behind the other
	defaultTimeout = 2 * time.Second
)

var (
	nameShape = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	codeShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	holder    = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// ParseYAML reads a declaration from YAML, of which JSON is a part. Faults are
// a *push.Invalid.
func ParseYAML(text []byte) (Declaration, error) {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return Declaration{}, &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "is not YAML: " + err.Error()}}}
	}
	raw, err := json.Marshal(named(v))
	if err != nil {
		return Declaration{}, fmt.Errorf("gateway: %w", err)
	}
	return ParseJSON(raw)
}

// ParseJSON reads a declaration from well-formed JSON.
func ParseJSON(raw []byte) (Declaration, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return Declaration{}, &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "must be an object"}}}
	}
	d, faults := strictjson.New[Declaration]().Read(raw)
	return d, faults.Err()
}

// named makes YAML's keys the texts that JSON's are.
func named(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = named(e)
		}
		return v
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(k)] = named(e)
		}
		return m
	case []any:
		for i, e := range v {
			v[i] = named(e)
		}
		return v
	case time.Time: // a day that was not put in quotes
		return v.Format(time.DateOnly)
	default:
		return v
	}
}

// compiler turns a declaration into a service and gathers what is wrong.
type compiler struct {
	faults strictjson.Faults
	d      Declaration
	rules  Rules
}

// Rules are what an operator lets declarations do.
type Rules struct {
	// AllowPrivate lets back ends be in private networks.
	AllowPrivate bool
	// Trusted declarations are the operator's own: their secrets may come from
	// the environment and from files.
	Trusted bool
	// Secrets are where named secrets are found when they are needed.
	Secrets Secrets
}

// compile checks a declaration whole and makes it ready to run. The error is a
// *push.Invalid with every fault.
func compile(d Declaration, rules Rules) (*service, error) {
	c := &compiler{d: d, rules: rules}
	s := &service{declaration: d, backends: map[string]*backend{}, versions: map[string]*version{}, inbound: map[string]*inbound{}}
	c.name("service", d.Service)
	if len(d.Versions) == 0 && len(d.Inbound) == 0 {
		c.faults.Add("versions", "are needed, or inbound events")
	}
	for name, b := range d.Backends {
		s.backends[name] = c.backend("backends."+name, name, b)
	}
	for id, v := range d.Versions {
		s.versions[id] = c.version("versions."+id, id, v)
	}
	for name, in := range d.Inbound {
		c.name("inbound."+name, name)
		s.inbound[name] = c.inbound("inbound."+name, name, in)
	}
	c.adapters(s)
	c.fallTo(s)
	if err := c.faults.Err(); err != nil {
		slices.SortFunc(c.faults, func(a, b push.Fault) int { return strings.Compare(a.Field, b.Field) })
		return nil, err
	}
	c.examples(s)
	slices.SortFunc(c.faults, func(a, b push.Fault) int { return strings.Compare(a.Field, b.Field) })
	return s, c.faults.Err()
}

// Check tells what is wrong with a declaration, as a *push.Invalid.
func Check(d Declaration, rules Rules) error {
	_, err := compile(d, rules)
	return err
}

func (c *compiler) name(field, name string) {
	if !nameShape.MatchString(name) {
		c.faults.Addf(field, "%q is no name: a small letter, then letters, digits, - and _, at most 64", strictjson.Shorten(name))
	}
}

func (c *compiler) program(field, text string) *program {
	p, err := compileProgram(text)
	if err != nil {
		c.faults.Add(field, err.Error())
	}
	return p
}

// within takes a number or its default, and complains where it is out of bounds.
func (c *compiler) within(field string, n, least, most, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	if n < least || n > most {
		c.faults.Addf(field, "must be %d to %d, not %d", least, most, n)
	}
	return n
}

func (c *compiler) percent(field string, p float64) {
	if p <= 0 || p > 100 {
		c.faults.Addf(field, "must be above 0 and at most 100, not %v", p)
	}
}

func (c *compiler) url(field, text string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		c.faults.Add(field, "must be an http or https URL")
		return &url.URL{}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		c.faults.Add(field, "must have neither user, query nor fragment")
	}
	return u
}

func (c *compiler) version(field, id string, v Version) *version {
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || strconv.Itoa(n) != id {
		c.faults.Addf(field, "%q is no version: a number from 1", strictjson.Shorten(id))
	}
	out := &version{id: id, number: n, operations: map[string]*operation{}}
	out.deprecated = c.day(field+".deprecated", v.Deprecated)
	out.sunset = c.day(field+".sunset", v.Sunset)
	if len(v.Operations) == 0 {
		c.faults.Add(field+".operations", "are needed")
	}
	for name, o := range v.Operations {
		at := field + ".operations." + name
		c.name(at, name)
		out.operations[name] = c.operation(at, id, name, o)
	}
	return out
}

func (c *compiler) day(field, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		c.faults.Add(field, "must be a day as YYYY-MM-DD")
	}
	return t
}

func (c *compiler) operation(field, version, name string, o Operation) *operation {
	out := &operation{version: version, name: name, declared: o, comparison: new(comparison)}
	out.input = c.schema(field+".input", o.Input)
	out.output = c.schema(field+".output", o.Output)
	out.maxInput = c.within(field+".max_input_bytes", o.MaxInput, 1, maxInput, defaultInput)
	ways := 0
	for _, there := range []bool{o.Adapt != nil, o.Call != nil, len(o.Calls) > 0} {
		if there {
			ways++
		}
	}
	if ways > 1 || ways == 0 && !o.Mock {
		c.faults.Add(field, "needs one of adapt, call and calls, or mock")
	}
	switch {
	case o.Adapt != nil:
		out.adaptInput = c.program(field+".adapt.input", o.Adapt.Input)
		out.adaptOutput = c.program(field+".adapt.output", o.Adapt.Output)
	case o.Call != nil:
		out.steps = []*step{c.step(field+".call", "", *o.Call, nil)}
	case len(o.Calls) > 0:
		out.steps = c.steps(field+".calls", o.Calls)
		out.compose = c.program(field+".compose", o.Compose)
	}
	c.traits(field, o, out)
	return out
}

// traits are the parts of an operation beside its way to an answer.
func (c *compiler) traits(field string, o Operation, out *operation) {
	for who, r := range o.Limits {
		if who != "app" && who != "user" && who != "device" {
			c.faults.Add(field+".limits."+who, "is none of app, user and device")
		}
		if r.PerSecond <= 0 || r.Burst < 1 {
			c.faults.Add(field+".limits."+who, "needs per_second above 0 and burst from 1")
		}
	}
	if o.Cache != nil {
		c.cache(field, o)
	}
	if p := o.Pagination; p != nil {
		out.pages = c.pages(field+".pagination", *p)
	}
	if o.Sample != nil {
		c.percent(field+".sample.percent", o.Sample.Percent)
	}
	for path, roles := range o.Fields {
		if path == "" || len(roles) == 0 {
			c.faults.Add(field+".fields."+path, "needs the roles that see it")
		}
		out.fields = append(out.fields, guardedField{strings.Split(path, "."), roles})
	}
	for kind, v := range map[string]*Variant{"canary": o.Canary, "shadow": o.Shadow} {
		if v == nil {
			continue
		}
		at := field + "." + kind
		c.percent(at+".percent", v.Percent)
		if o.Call == nil {
			c.faults.Add(at, "needs call beside it")
		}
		st := c.step(at+".call", "", v.Call, nil)
		if kind == "canary" {
			out.canary = &variant{v.Percent, st}
		} else {
			if !st.idempotent {
				c.faults.Add(at+".call", "must be idempotent: it is asked beside the other")
			}
			out.shadow = &variant{v.Percent, st}
		}
	}
	if o.Mock && len(o.Examples) == 0 {
		c.faults.Add(field+".examples", "are what mock answers with; there are none")
	}
}

func (c *compiler) cache(field string, o Operation) {
	if !slices.Contains([]string{"app", "user", "device"}, o.Cache.Per) {
		c.faults.Add(field+".cache.per", "must be app, user or device: who shares answers")
	}
	for name, n := range map[string]int{
		"seconds": o.Cache.Seconds, "stale_while_revalidate_seconds": o.Cache.StaleWhileRevalidateSeconds,
		"stale_if_error_seconds": o.Cache.StaleIfErrorSeconds,
	} {
		if n < 0 || n > 86_400 {
			c.faults.Addf(field+".cache."+name, "must be 0 to 86400, not %d", n)
		}
	}
	if o.Cache.Seconds == 0 && len(o.Calls) > 0 {
		c.faults.Add(field+".cache.seconds", "is needed where several back ends make an answer")
	}
	steps := maps.Clone(o.Calls)
	if o.Call != nil {
		steps = map[string]Step{"": *o.Call}
	}
	for _, s := range steps {
		if !safeMethod(s.Method) && !s.Idempotent {
			c.faults.Add(field+".cache", "is not for what has effects: "+s.Method)
		}
	}
	if o.Adapt != nil {
		c.faults.Add(field+".cache", "belongs to the operation that is adapted")
	}
}

func (c *compiler) pages(field string, p Pagination) *pages {
	if p.Style != "page" && p.Style != "offset" && p.Style != "cursor" {
		c.faults.Add(field+".style", "must be page, offset or cursor")
	}
	if p.Next == "" {
		c.faults.Add(field+".next", "is needed: jq over the back end's body")
	}
	out := &pages{style: p.Style, of: p.Of, next: c.program(field+".next", p.Next)}
	out.max = c.within(field+".max", p.Max, 1, 1000, 100)
	out.limit = c.within(field+".limit", p.Limit, 1, out.max, min(20, out.max))
	return out
}

// steps puts the calls of one answer in an order in which each follows those it
// needs.
func (c *compiler) steps(field string, declared map[string]Step) []*step {
	var order []*step
	at := map[string]int{} // 1: on the way, 2: done
	var visit func(name string)
	visit = func(name string) {
		s := declared[name]
		here := field + "." + name
		switch at[name] {
		case 1:
			c.faults.Add(here+".needs", "goes round in a circle")
			return
		case 2:
			return
		}
		at[name] = 1
		for _, need := range s.Needs {
			if _, there := declared[need]; !there {
				c.faults.Addf(here+".needs", "%q is no step here", strictjson.Shorten(need))
				continue
			}
			visit(need)
		}
		at[name] = 2
		c.name(here, name)
		order = append(order, c.step(here, name, s, s.Needs))
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		visit(name)
	}
	return order
}

func (c *compiler) step(field, name string, s Step, needs []string) *step {
	b, there := c.d.Backends[s.Backend]
	if !there {
		c.faults.Addf(field+".backend", "%q is none of this service", strictjson.Shorten(s.Backend))
	}
	method := s.Method
	if method == "" {
		method = http.MethodGet
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		c.faults.Addf(field+".method", "%q is none of GET, HEAD, POST, PUT, PATCH, DELETE", strictjson.Shorten(method))
	}
	if !strings.HasPrefix(s.Path, "/") || strings.ContainsAny(s.Path, "?#\\") || slices.Contains(strings.Split(s.Path, "/"), "..") {
		c.faults.Add(field+".path", "must begin with / and have neither query nor ..")
	}
	out := &step{
		name: name, backend: s.Backend, method: method, path: s.Path, needs: needs, optional: s.Optional, headers: s.Headers,
		idempotent: s.Idempotent || method != http.MethodPost && method != http.MethodPatch,
		request:    c.program(field+".request", s.Request), response: c.program(field+".response", s.Response),
	}
	for _, m := range holder.FindAllStringSubmatch(s.Path, -1) {
		out.holders = append(out.holders, m[1])
	}
	for h, v := range s.Headers {
		c.header(field+".headers."+h, h, v)
	}
	out.retries = c.within(field+".retries", s.Retries, 0, maxRetries, 0)
	if out.retries > 0 && !out.idempotent {
		c.faults.Add(field+".retries", "are for what is idempotent; say so if it is")
	}
	otherwise := b.TimeoutMS
	if otherwise == 0 {
		otherwise = int(defaultTimeout.Milliseconds())
	}
	out.timeout = time.Duration(c.within(field+".timeout_ms", s.TimeoutMS, 1, int(maxTimeout.Milliseconds()), otherwise)) * time.Millisecond
	if len(s.Fallback) > 0 {
		var err error
		if out.fallback, err = decode(s.Fallback); err != nil || !s.Optional {
			c.faults.Add(field+".fallback", "is JSON for a step that is optional")
		}
	}
	for i, r := range s.Errors {
		out.errors = append(out.errors, c.rule(fmt.Sprintf("%s.errors[%d]", field, i), r))
	}
	return out
}

func (c *compiler) rule(field string, r ErrorRule) rule {
	if r.When == "" {
		c.faults.Add(field+".when", "is needed: jq over {status, body}")
	}
	if !codeShape.MatchString(r.Code) {
		c.faults.Add(field+".code", "must be small letters, digits and _")
	}
	return rule{
		when: c.program(field+".when", r.When), code: r.Code, detail: r.Detail,
		status: c.within(field+".status", r.Status, 400, 599, http.StatusUnprocessableEntity),
	}
}

// adapters finds where each adapter leads, and refuses circles.
func (c *compiler) adapters(s *service) {
	for _, v := range s.versions {
		for name, o := range v.operations {
			a := o.declared.Adapt
			if a == nil {
				continue
			}
			field := "versions." + v.id + ".operations." + name + ".adapt"
			target := a.Operation
			if target == "" {
				target = name
			}
			to, ok := s.versions[a.Version]
			if !ok {
				c.faults.Addf(field+".version", "%q is none here", strictjson.Shorten(a.Version))
				continue
			}
			if o.adapts = to.operations[target]; o.adapts == nil {
				c.faults.Addf(field+".operation", "version %s has no %q", a.Version, strictjson.Shorten(target))
			}
		}
	}
	for _, v := range s.versions {
		for name, o := range v.operations {
			depth := 0
			for at := o; at != nil; at = at.adapts {
				if depth++; depth > maxAdapters {
					c.faults.Add("versions."+v.id+".operations."+name+".adapt", "goes round in a circle")
					break
				}
			}
		}
	}
}

// fallTo is the version of callers who name none.
func (c *compiler) fallTo(s *service) {
	if c.d.Default != "" {
		if s.standard = s.versions[c.d.Default]; s.standard == nil {
			c.faults.Add("default", "is no version of this service")
		}
		return
	}
	for _, v := range s.versions {
		if s.standard == nil || v.number < s.standard.number {
			s.standard = v
		}
	}
}

// examples hold the examples against the schemas.
func (c *compiler) examples(s *service) {
	for _, v := range s.versions {
		for name, o := range v.operations {
			for i, e := range o.declared.Examples {
				at := fmt.Sprintf("versions.%s.operations.%s.examples[%d]", v.id, name, i)
				o.examples = append(o.examples, example{
					input: c.example(at+".input", e.Input, o.input), output: c.example(at+".output", e.Output, o.output),
				})
			}
		}
	}
}

func (c *compiler) example(field string, raw json.RawMessage, s *schema) any {
	v, err := decode(raw)
	if err != nil {
		c.faults.Add(field, "is needed")
		return nil
	}
	for _, f := range s.check(v) {
		c.faults.Add(strings.TrimSuffix(field+"."+f.Field, "."), f.Detail)
	}
	return v
}

func safeMethod(m string) bool { return m == "" || m == http.MethodGet || m == http.MethodHead }
