package wording

import (
	"fmt"
	"strings"
)

// maxNesting is how deep plurals and selects may stand in each other.
const maxNesting = 4

// part is a piece of a text.
type part struct {
	literal  string
	variable string
	form     string // "", "plural" or "select"
	hash     bool   // "#": the number of the plural around it
	branches map[string][]part
	at       int // byte of the text, of a placeholder
}

// fault is why a text cannot be read.
type fault struct {
	at     int
	detail string
}

func (f *fault) Error() string { return fmt.Sprintf("at character %d: %s", f.at+1, f.detail) }

// reader goes through a text.
type reader struct {
	text string
	pos  int
}

// parse reads a text with placeholders.
func parse(text string) ([]part, error) {
	r := &reader{text: text}
	return r.parts(0, false)
}

func (r *reader) fail(format string, args ...any) error {
	return &fault{r.pos, fmt.Sprintf(format, args...)}
}

func (r *reader) has(s string) bool { return strings.HasPrefix(r.text[r.pos:], s) }

// parts reads up to the end or, inside of a branch, its closing brace.
func (r *reader) parts(depth int, plural bool) ([]part, error) {
	if depth > maxNesting {
		return nil, r.fail("more than %d plurals and selects within each other", maxNesting)
	}
	var all []part
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			all = append(all, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == '\\' && r.pos+1 < len(r.text) && strings.IndexByte(`\{}#`, r.text[r.pos+1]) >= 0:
			literal.WriteByte(r.text[r.pos+1])
			r.pos += 2
		case r.has("{{"):
			flush()
			p, err := r.placeholder(depth)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		case c == '}' && depth > 0:
			flush()
			return all, nil
		case c == '#' && plural:
			flush()
			all = append(all, part{hash: true})
			r.pos++
		default:
			literal.WriteByte(c)
			r.pos++
		}
	}
	if depth > 0 {
		return nil, r.fail("a branch has no closing }")
	}
	flush()
	return all, nil
}

// placeholder reads {{name}}, {{name, plural, …}} or {{name, select, …}}.
func (r *reader) placeholder(depth int) (part, error) {
	p := part{at: r.pos}
	r.pos += len("{{")
	if p.variable = r.word(); !ValidName(p.variable) {
		return p, r.fail("expected the name of a variable")
	}
	if r.take("}}") {
		return p, nil
	}
	if !r.take(",") {
		return p, r.fail("expected }} or a comma")
	}
	if p.form = r.word(); p.form != "plural" && p.form != "select" {
		return p, r.fail("expected plural or select")
	}
	if !r.take(",") {
		return p, r.fail("expected a comma")
	}
	p.branches = make(map[string][]part)
	for !r.take("}}") {
		if err := r.branch(&p, depth); err != nil {
			return p, err
		}
	}
	if p.branches["other"] == nil {
		return p, r.fail("the branch other is missing")
	}
	return p, nil
}

// categories are the plurals of all languages; =N is a number of its own.
var categories = map[string]bool{"zero": true, "one": true, "two": true, "few": true, "many": true, "other": true}

func (r *reader) branch(p *part, depth int) error {
	key := r.word()
	switch number := strings.TrimPrefix(key, "="); {
	case key == "":
		return r.fail("expected a branch such as other {…}, or }}")
	case p.form == "plural" && !categories[key] && (number == key || !isNumber(number)):
		return r.fail("%q is none of zero, one, two, few, many, other, =N", key)
	case p.branches[key] != nil:
		return r.fail("the branch %s comes twice", key)
	}
	if !r.take("{") {
		return r.fail("expected { and the text of the branch %s", key)
	}
	parts, err := r.parts(depth+1, p.form == "plural")
	if err != nil {
		return err
	}
	r.pos++ // }
	if parts == nil {
		parts = []part{}
	}
	p.branches[key] = parts
	return nil
}

func (r *reader) space() {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
}

func (r *reader) take(s string) bool {
	r.space()
	if !r.has(s) {
		return false
	}
	r.pos += len(s)
	return true
}

func (r *reader) word() string {
	r.space()
	start := r.pos
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n,{}", r.text[r.pos]) < 0 {
		r.pos++
	}
	return r.text[start:r.pos]
}

// ValidName reports whether s can name a variable.
func ValidName(s string) bool {
	if s == "" || len(s) > 64 || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
