package audience

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// query gathers a condition and its parameters.
type query struct {
	b     strings.Builder
	args  []any
	first int
	now   time.Time
}

// SQL is the filter as a condition on devices d, in words that both databases
// know, with its parameters. They are numbered from first, and every value that
// the caller wrote is one of them.
func (f *Filter) SQL(first int, now time.Time) (condition string, args []any) {
	q := &query{first: first, now: now}
	f.root.sql(q)
	return q.b.String(), q.args
}

// arg adds a parameter. The cast says its type where PostgreSQL cannot know it.
func (q *query) arg(v any) {
	q.args = append(q.args, v)
	kind := "TEXT"
	switch v.(type) {
	case int:
		kind = "INTEGER"
	case int64:
		kind = "BIGINT"
	}
	q.b.WriteString("CAST($" + strconv.Itoa(q.first+len(q.args)-1) + " AS " + kind + ")")
}

func (q *query) write(s string) { q.b.WriteString(s) }

func (q *query) pair(left node, word string, right node) {
	q.write("(")
	left.sql(q)
	q.write(word)
	right.sql(q)
	q.write(")")
}

func (n and) sql(q *query) { q.pair(n.left, " AND ", n.right) }

func (n or) sql(q *query) { q.pair(n.left, " OR ", n.right) }

func (n not) sql(q *query) {
	q.write("NOT (")
	n.of.sql(q)
	q.write(")")
}

func (n test) sql(q *query) {
	switch {
	case n.op == "is set":
		q.write(n.field.column + " <> ''")
	case n.field.name == "tags":
		q.write("EXISTS (SELECT 1 FROM device_tags t WHERE t.app = d.app AND t.device = d.id AND t.tag = ")
		q.arg(n.values[0])
		q.write(")")
	case n.field.name == "addresses":
		q.write("EXISTS (SELECT 1 FROM addresses a WHERE a.app = d.app AND a.device = d.id AND a.provider = ")
		q.arg(n.values[0])
		q.write(")")
	case n.field.kind == age:
		n.ago(q)
	case n.field.kind == version:
		n.version(q)
	default:
		n.text(q)
	}
}

// ago compares the time itself, so that an index could be of use.
func (n test) ago(q *query) {
	flipped := map[string]string{"<": " > ", "<=": " >= ", ">": " < ", ">=": " <= "}
	q.write(n.field.column + flipped[n.op])
	q.arg(q.now.UnixMicro() - n.age.Microseconds())
}

// version compares keys. What has no version is neither above nor below one,
// and not equal to it.
func (n test) version(q *query) {
	if n.op == "!=" {
		q.write(n.field.column + " <> ")
		q.arg(n.values[0])
		return
	}
	q.write("(" + n.field.column + " <> '' AND " + n.field.column + " " + n.op + " ")
	q.arg(n.values[0])
	q.write(")")
}

func (n test) text(q *query) {
	column := n.field.column
	if n.field.kind == text {
		column = "lower(" + column + " COLLATE bytes)"
	}
	switch n.op {
	case "starts with":
		q.write("substr(" + column + ", 1, ")
		q.arg(utf8.RuneCountInString(n.values[0]))
		q.write(") = ")
		q.arg(n.values[0])
	case "!=":
		q.write(column + " <> ")
		q.arg(n.values[0])
	default:
		q.write(column + " IN (")
		for i, v := range n.values {
			if i > 0 {
				q.write(", ")
			}
			q.arg(v)
		}
		q.write(")")
	}
}
