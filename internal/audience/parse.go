package audience

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads an expression. Its error is an [*Error] that says where and what.
func Parse(s string) (*Filter, error) {
	p := &parser{text: s}
	if len(s) > MaxLength {
		return nil, &Error{At: MaxLength, Near: "…", Detail: fmt.Sprintf("the expression has more than %d bytes", MaxLength)}
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return nil, &Error{Near: "…", Detail: "the expression is not text in UTF-8"}
	}
	p.next()
	root := p.or()
	if p.err == nil && p.kind != end {
		p.fail("expected and, or, or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Filter{root: root}, nil
}

// The kinds of words.
const (
	end    = iota
	word   // a name, or a word such as and
	quoted // a text, without its quotes
	number // with its unit: 7d
	symbol // ( ) , = != < <= > >=
)

// parser goes through the words of an expression. After the first fault it
// stands still.
type parser struct {
	text   string
	pos    int // behind the current word
	at     int // where it begins
	kind   int
	value  string
	depth  int
	tests  int
	err    *Error
	source string // the current word as it was written
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &Error{At: p.at, Near: p.source, Detail: fmt.Sprintf(format, args...)}
	}
	p.kind = end
}

// next reads the next word.
func (p *parser) next() {
	if p.err != nil {
		return
	}
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.at = p.pos
	if p.pos == len(p.text) {
		p.kind, p.value, p.source = end, "", ""
		return
	}
	c := p.text[p.pos]
	switch {
	case c == '"' || c == '\'':
		p.quote(c)
		return
	case isNameByte(c) && !isDigit(rune(c)):
		p.kind = word
		p.run(isNameByte)
	case isDigit(rune(c)):
		p.kind = number
		p.run(isNameByte)
	default:
		p.kind = symbol
		p.pos++
		if strings.IndexByte("!<>=&|", c) >= 0 && p.pos < len(p.text) && strings.IndexByte("=&|", p.text[p.pos]) >= 0 {
			p.pos++
		}
	}
	p.source = p.text[p.at:p.pos]
	p.value = p.source
	if p.kind == symbol {
		p.symbol()
	}
}

func (p *parser) run(is func(byte) bool) {
	for p.pos < len(p.text) && is(p.text[p.pos]) {
		p.pos++
	}
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || '0' <= c && c <= '9'
}

// symbol takes the spellings of other languages too.
func (p *parser) symbol() {
	switch p.value {
	case "==":
		p.value = "="
	case "&&":
		p.kind, p.value = word, "and"
	case "||":
		p.kind, p.value = word, "or"
	case "!":
		p.kind, p.value = word, "not"
	case "(", ")", ",", "=", "!=", "<", "<=", ">", ">=":
	default:
		_, size := utf8.DecodeRuneInString(p.text[p.at:])
		p.source = p.text[p.at:max(p.pos, p.at+size)]
		p.fail("is no sign of this language")
	}
}

// quote reads a text; a backslash makes the next character plain.
func (p *parser) quote(mark byte) {
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(p.text[i])
		case c == mark:
			p.kind, p.value, p.source = quoted, b.String(), p.text[p.pos:i+1]
			p.pos = i + 1
			return
		default:
			b.WriteByte(c)
		}
	}
	p.source = p.text[p.pos:]
	p.fail("the text has no closing quote")
}

// is reports whether the current word is a word or sign; words count without
// case.
func (p *parser) is(w string) bool {
	return (p.kind == word || p.kind == symbol) && strings.EqualFold(p.value, w)
}

func (p *parser) take(w string) bool {
	if !p.is(w) {
		return false
	}
	p.next()
	return true
}

func (p *parser) or() node {
	left := p.and()
	for p.take("or") {
		left = or{left, p.and()}
	}
	return left
}

func (p *parser) and() node {
	left := p.not()
	for p.take("and") {
		left = and{left, p.not()}
	}
	return left
}

func (p *parser) not() node {
	if p.depth++; p.depth > MaxDepth {
		p.fail("more than %d levels of parentheses and not", MaxDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.err != nil:
		return nil
	case p.take("not"):
		return not{p.not()}
	case p.take("("):
		inner := p.or()
		if !p.take(")") {
			p.fail("expected )")
		}
		return inner
	default:
		return p.test()
	}
}

// test reads one question about a field.
func (p *parser) test() node {
	if p.tests++; p.tests > MaxTests {
		p.fail("more than %d questions", MaxTests)
	}
	if p.kind != word {
		p.fail("expected one of %s", strings.Join(Fields(), ", "))
		return nil
	}
	f := fieldNamed(strings.ToLower(p.value))
	if f == nil {
		p.fail("is none of %s", strings.Join(Fields(), ", "))
		return nil
	}
	p.next()
	return p.question(f)
}

func (p *parser) question(f *field) node {
	switch {
	case p.take("is"):
		negated := p.take("not")
		if !p.is("set") || f.kind == set || f.kind == age {
			p.fail("expected %s", wants(f))
			return nil
		}
		p.next()
		return negate(test{field: f, op: "is set"}, negated)
	case f.kind == text && p.is("starts"), f.kind == exact && p.is("starts"):
		p.next()
		p.take("with")
		return test{field: f, op: "starts with", values: p.one(f)}
	case (f.kind == text || f.kind == exact) && p.is("not"):
		p.next()
		if !p.is("in") {
			p.fail("expected in")
			return nil
		}
		p.next()
		return not{test{field: f, op: "in", values: p.list(f)}}
	case (f.kind == text || f.kind == exact) && p.take("in"):
		return test{field: f, op: "in", values: p.list(f)}
	case f.kind == set && p.take("has"):
		return test{field: f, op: "has", values: p.one(f)}
	}
	op := p.value
	if p.kind != symbol || !slices.Contains(operators(f), op) {
		p.fail("expected %s", wants(f))
		return nil
	}
	p.next()
	if f.kind == age {
		return test{field: f, op: op, age: p.duration()}
	}
	return test{field: f, op: op, values: p.one(f)}
}

func negate(n node, negated bool) node {
	if negated {
		return not{n}
	}
	return n
}

func operators(f *field) []string {
	switch f.kind {
	case text, exact:
		return []string{"=", "!="}
	case version:
		return []string{"=", "!=", "<", "<=", ">", ">="}
	case age:
		return []string{"<", "<=", ">", ">="}
	default:
		return nil
	}
}

// wants says what may come behind a field.
func wants(f *field) string {
	switch f.kind {
	case text, exact:
		return `=, !=, in (…), starts with, or is set`
	case version:
		return `=, !=, <, <=, >, >= with a version, or is set`
	case age:
		return `<, <=, > or >= with a time such as 7d`
	default:
		return `has and a text`
	}
}

// one reads one value of a field, in the form that it is compared in.
func (p *parser) one(f *field) []string {
	value := p.value
	switch {
	case p.kind == quoted:
	case p.kind == number && f.kind == version:
		value = p.bareVersion()
	default:
		p.fail(`expected a text in quotes, such as "DE"`)
		return nil
	}
	switch f.kind {
	case version:
		if value = VersionKey(value); value == "" {
			p.fail("is no version")
		}
	case text:
		value = lower(value)
		if f.words != nil && !slices.Contains(f.words, value) {
			p.fail("is none of %s", strings.Join(f.words, ", "))
		}
	}
	p.next()
	return []string{value}
}

// bareVersion reads a version without quotes: 2.10.3.
func (p *parser) bareVersion() string {
	p.run(func(c byte) bool { return isDigit(rune(c)) || c == '.' })
	p.source = p.text[p.at:p.pos]
	return p.source
}

func (p *parser) list(f *field) []string {
	if !p.take("(") {
		p.fail("expected ( and a list of texts")
		return nil
	}
	var all []string
	for p.err == nil {
		if len(all) == MaxList {
			p.fail("more than %d values", MaxList)
		}
		all = append(all, p.one(f)...)
		if p.take(")") {
			return all
		}
		if !p.take(",") {
			p.fail("expected , or )")
		}
	}
	return all
}

// units are those of an age.
var units = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// maxAge keeps an age far from what an integer of microseconds can hold.
const maxAge = 36_500

func (p *parser) duration() time.Duration {
	digits := strings.TrimRight(p.value, "smhdw")
	n, err := strconv.Atoi(digits)
	unit := units[strings.TrimPrefix(p.value, digits)]
	if p.kind != number || err != nil || unit == 0 || time.Duration(n) > maxAge*24*time.Hour/unit {
		p.fail("expected a time such as 30m, 12h, 7d or 2w")
		return 0
	}
	p.next()
	return time.Duration(n) * unit
}
