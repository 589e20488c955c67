package custom

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// maxTemplate bounds a template's source; the vendors' longest is a few lines.
const maxTemplate = 8 << 10

// scope is what a template can speak of when it makes a request.
type scope struct {
	App          string
	Notification string // its id
	Delivery     string // its id, by which receipts are filed and devices drop repeats
	Device       string
	Class        string
	Title        string
	Body         string
	Data         map[string]string // the caller's, with herald_id and herald_notification
	Token        string            // the service's own name for the device
	Topic        string
	Collapse     string // the caller's collapse key; may be empty
	Replace      string // the collapse key, or else the delivery; at most 64 bytes
	TTL          int64  // seconds left, at least 1; 0 if the message never expires
	Expires      time.Time
	Now          time.Time // the same throughout a request
	Vars         map[string]string
	Access       string // the token that auth fetched

	Tokens    []string // of all devices that the request is for
	TokenList string   // the same with commas between
	devices   []*push.Delivery
}

// signing is what a signature's template can speak of besides.
type signing struct {
	*scope
	Method      string
	URL         string // whole, without the signature
	Path        string // as it goes out, escaped
	RequestBody string // as it goes out, without the signature
	Secret      string

	params map[string]string
}

// Sorted joins the body's fields and the query's in order of their names, as
// many signatures of Chinese services want them: {{.Sorted "=" "&"}} is
// "a=1&b=2". Empty values are left out.
func (s *signing) Sorted(between, after string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.params)) {
		if v := s.params[k]; v != "" {
			parts = append(parts, k+between+v)
		}
	}
	return strings.Join(parts, after)
}

// sample is a delivery that templates are tried with when they are compiled.
func sample(vars map[string]string) *scope {
	at := time.Unix(1700000000, 0).UTC()
	return &scope{
		App: "demo", Notification: "n1", Delivery: "n1.0.0", Device: "d1", Class: "chat", Title: "title", Body: "body",
		Data: map[string]string{providers.IDKey: "n1.0.0", providers.NotificationKey: "n1"}, Token: "token", Topic: "topic",
		Collapse: "key", Replace: "key", TTL: 3600, Expires: at.Add(time.Hour), Now: at, Vars: vars, Access: "access",
		Tokens: []string{"token", "token2"}, TokenList: "token,token2",
		devices: []*push.Delivery{{ID: "n1.0.0", Device: "d1", Address: push.Address{Token: "token"}}, {ID: "n1.0.1", Device: "d2", Address: push.Address{Token: "token2"}}},
	}
}

// text is a compiled template.
type text struct {
	constant string
	tmpl     *template.Template // nil for a constant
	uses     map[string]bool    // top-level names it speaks of, such as "Secret"
}

func (t *text) render(scope any) (string, error) {
	if t == nil {
		return "", nil
	}
	if t.tmpl == nil {
		return t.constant, nil
	}
	var b strings.Builder
	if err := t.tmpl.Execute(&b, scope); err != nil {
		// What the template says of its failure may repeat what it was given.
		return "", rejected("a template of the configuration does not fit the message")
	}
	return b.String(), nil
}

// compiler compiles templates and notes each fault under its field.
type compiler struct {
	faults *providers.Faults
	vars   map[string]string
	access bool // there is an access token to speak of

	many bool            // a request may be for many devices
	each bool            // inside of $each, for one of them
	uses map[string]bool // what templates speak of, and "$each"
}

// ofOne are the words for one device.
var ofOne = [...]string{"Token", "Device", "Topic"}

// text compiles a template that will be rendered with scopes like the one given.
func (c *compiler) text(field, source string, like any) *text {
	if !strings.Contains(source, "{{") {
		return &text{constant: source}
	}
	if len(source) > maxTemplate {
		c.faults.Add(field, fmt.Sprintf("is longer than %d bytes", maxTemplate))
		return &text{}
	}
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(source)
	if err != nil {
		c.faults.Add(field, "is not a template: "+parseFault(err))
		return &text{}
	}
	w := &walker{vars: c.vars, access: c.access, uses: map[string]bool{}}
	if t.Tree != nil && t.Root != nil {
		w.list(t.Root)
	}
	if len(t.Templates()) > 1 {
		w.fault = "must not define other templates"
	}
	if w.fault != "" {
		c.faults.Add(field, w.fault)
		return &text{}
	}
	compiled := &text{tmpl: t, uses: w.uses}
	for _, word := range ofOne {
		if c.many && !c.each && w.uses[word] {
			c.faults.Add(field, "speaks of one device with ."+word+", and batch sends to many: use $each, .Tokens or .TokenList")
		}
	}
	if c.uses != nil {
		maps.Copy(c.uses, w.uses)
	}
	if err := t.Execute(&strings.Builder{}, like); err != nil {
		c.faults.Add(field, "asks for something that is not there, or in the wrong way")
	}
	return compiled
}

// parseFault is what is wrong with a template without a word of it, except the
// name of a function.
func parseFault(err error) string {
	if _, after, ok := strings.Cut(err.Error(), "function \""); ok {
		if fn, _, ok := strings.Cut(after, "\" not defined"); ok {
			return fmt.Sprintf("there is no function %.40q", fn)
		}
	}
	return "its braces or words do not fit together"
}

// walker looks through a template for what a configuration may not do: loop,
// or call functions that can make much of little. One app's configuration must
// not slow another app's deliveries.
type walker struct {
	vars   map[string]string
	access bool
	uses   map[string]bool
	fault  string
}

var allowed = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "print", "urlquery"}

func (w *walker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			w.pipe(n.Pipe)
		case *parse.IfNode:
			w.branch(&n.BranchNode)
		case *parse.WithNode:
			w.branch(&n.BranchNode)
		default:
			w.fault = "may use if and with only; there are no loops and no other templates"
		}
	}
}

func (w *walker) branch(n *parse.BranchNode) {
	w.pipe(n.Pipe)
	w.list(n.List)
	w.list(n.ElseList)
}

func (w *walker) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			w.arg(arg)
		}
	}
}

func (w *walker) arg(n parse.Node) {
	switch n := n.(type) {
	case *parse.IdentifierNode:
		if functions[n.Ident] == nil && !slices.Contains(allowed, n.Ident) {
			w.fault = fmt.Sprintf("must not call %.40q", n.Ident)
		}
	case *parse.FieldNode:
		w.field(n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			w.field(n.Ident[1:])
		}
	case *parse.ChainNode:
		w.arg(n.Node)
	case *parse.PipeNode:
		w.pipe(n)
	}
}

func (w *walker) field(path []string) {
	if len(path) == 0 {
		return
	}
	w.uses[path[0]] = true
	if path[0] == "Access" && !w.access {
		w.fault = "asks for an access token, and auth fetches none for it"
	}
	if path[0] != "Vars" || len(path) < 2 {
		return
	}
	if _, ok := w.vars[path[1]]; !ok {
		w.fault = fmt.Sprintf("asks for vars.%.40s, which is not there", path[1])
	}
}
