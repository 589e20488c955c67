// Package audience reads the small language in which callers say which devices
// they mean, such as
//
//	platform = "ios" and app_version >= "2.10" and not (tags has "beta" or country in ("DE", "AT"))
//
// A [Filter] can be held against one device, and turned into the condition of a
// query with parameters. Both mean the same: the tests of package sqlstore hold
// them against each other on random devices. docs/scheduling.md has the words.
package audience

import (
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// Limits of an expression.
const (
	MaxLength = 4096 // bytes
	MaxDepth  = 32   // parentheses and "not" within each other
	MaxTests  = 100
	MaxList   = 100 // values in one "in"
)

// Filter is an expression that has been read.
type Filter struct{ root node }

// Error is why an expression cannot be read.
type Error struct {
	At     int // byte of the expression, from 0
	Detail string
	Near   string // the word there; "" at the end
}

func (e *Error) Error() string {
	if e.Near == "" {
		return fmt.Sprintf("at its end: %s", e.Detail)
	}
	return fmt.Sprintf("at character %d, %q: %s", e.At+1, e.Near, e.Detail)
}

// node is a part of an expression.
type node interface {
	match(d *push.Device, now time.Time) bool
	sql(q *query)
}

type (
	and  struct{ left, right node }
	or   struct{ left, right node }
	not  struct{ of node }
	test struct {
		field  *field
		op     string // = != < <= > >= in "starts with" has "is set"
		values []string
		age    time.Duration // of an age field
	}
)

// kind is what can be asked of a field.
type kind int

const (
	text    kind = iota // = != in, starts with, is set; letters count without case
	exact               // the same, letter by letter
	version             // = != < <= > >=, is set; by numbers
	set                 // has
	age                 // < <= > >=; how long ago
)

// field is one word that can be asked about.
type field struct {
	name   string
	kind   kind
	column string // of devices d; for a version that of its key
	of     func(*push.Device) string
	when   func(*push.Device) time.Time // of an age
	words  []string                     // the only values; nil is any
}

// fields are all that can be asked about, in the order documents show them. It
// is never changed.
var fields = []*field{
	{name: "platform", kind: text, column: "d.platform", of: func(d *push.Device) string { return d.Platform }, words: []string{"ios", "android", "harmony", "web", "desktop"}},
	{name: "maker", kind: text, column: "d.maker", of: func(d *push.Device) string { return d.Maker }},
	{name: "model", kind: text, column: "d.model", of: func(d *push.Device) string { return d.Model }},
	{name: "os", kind: text, column: "d.os", of: func(d *push.Device) string { return d.OS }},
	{name: "os_version", kind: version, column: "d.os_key", of: func(d *push.Device) string { return d.OS }},
	{name: "app_version", kind: version, column: "d.app_version_key", of: func(d *push.Device) string { return d.AppVersion }},
	{name: "country", kind: text, column: "d.country", of: func(d *push.Device) string { return d.Country }},
	{name: "carrier", kind: text, column: "d.carrier", of: func(d *push.Device) string { return d.Carrier }},
	{name: "locale", kind: text, column: "d.locale", of: func(d *push.Device) string { return d.Locale }},
	{name: "timezone", kind: text, column: "d.timezone", of: func(d *push.Device) string { return d.Timezone }},
	{name: "user", kind: exact, column: "d.user_id", of: func(d *push.Device) string { return d.User }},
	{name: "id", kind: exact, column: "d.id", of: func(d *push.Device) string { return d.ID }},
	{name: "tags", kind: set},
	{name: "addresses", kind: set},
	{name: "seen", kind: age, column: "d.updated_at", when: func(d *push.Device) time.Time { return d.UpdatedAt }},
	{name: "created", kind: age, column: "d.created_at", when: func(d *push.Device) time.Time { return d.CreatedAt }},
}

func fieldNamed(name string) *field {
	for _, f := range fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Fields names all that can be asked about.
func Fields() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// Match reports whether a device is meant, at a time.
func (f *Filter) Match(d *push.Device, now time.Time) bool { return f.root.match(d, now) }

func (n and) match(d *push.Device, now time.Time) bool {
	return n.left.match(d, now) && n.right.match(d, now)
}

func (n or) match(d *push.Device, now time.Time) bool {
	return n.left.match(d, now) || n.right.match(d, now)
}

func (n not) match(d *push.Device, now time.Time) bool { return !n.of.match(d, now) }

func (n test) match(d *push.Device, now time.Time) bool {
	switch n.field.kind {
	case set:
		return n.has(d)
	case age:
		ago := now.UnixMicro() - n.field.when(d).UnixMicro()
		return ordered(n.op, compare(ago, n.age.Microseconds()))
	case version:
		key := VersionKey(n.field.of(d))
		if n.op == "is set" {
			return key != ""
		}
		if key == "" {
			return n.op == "!="
		}
		return ordered(n.op, strings.Compare(key, n.values[0]))
	}
	value := n.field.of(d)
	if n.field.kind == text {
		value = lower(value)
	}
	switch n.op {
	case "is set":
		return value != ""
	case "starts with":
		return strings.HasPrefix(value, n.values[0])
	case "!=":
		return value != n.values[0]
	}
	for _, want := range n.values { // = and in
		if value == want {
			return true
		}
	}
	return false
}

func (n test) has(d *push.Device) bool {
	if n.field.name == "addresses" {
		_, ok := d.Address(n.values[0])
		return ok
	}
	for _, tag := range d.Tags {
		if tag == n.values[0] {
			return true
		}
	}
	return false
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ordered reports whether a comparison's result is what an operator asks for.
func ordered(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "!=":
		return c != 0
	default:
		return c == 0
	}
}

// lower lowers the letters A to Z alone, as both databases do.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
