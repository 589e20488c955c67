package database

import (
	"context"
	"database/sql"
	"sync"
)

// Querier runs queries written in the words of [DB]: a [Pool] or a transaction.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Scanner reads the columns of the row at hand.
type Scanner func(dest ...any) error

// Collect runs a query and makes a T of every row.
func Collect[T any](ctx context.Context, q Querier, query string, args []any, read func(Scanner) (T, error)) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the story
	var all []T
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// Pool is a pool of connections that translates each query once, and compiles
// it once where the driver would do it every time. The queries are constants of
// their packages, so there is an end to them.
type Pool struct {
	db      *sql.DB
	dialect dialect
	known   sync.Map // query → statement
}

// statement is a query as it is run: compiled, or else as a text.
type statement struct {
	compiled *sql.Stmt
	text     string
	on       interface { // who runs the text
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
}

// Learn compiles queries that will run in transactions, which cannot do so
// themselves.
func (p *Pool) Learn(ctx context.Context, queries ...string) {
	for _, query := range queries {
		p.learn(ctx, query)
	}
}

// learn finds the statement of a query. One that does not compile is left as a
// text: to run it will tell why.
func (p *Pool) learn(ctx context.Context, query string) statement {
	if known, ok := p.known.Load(query); ok {
		return known.(statement)
	}
	st := statement{text: p.dialect.sql(query), on: p.db}
	if p.dialect.compile {
		compiled, err := p.db.PrepareContext(ctx, st.text)
		if err != nil {
			return st
		}
		st.compiled = compiled
	}
	first, known := p.known.LoadOrStore(query, st)
	if known && st.compiled != nil {
		_ = st.compiled.Close() // another goroutine was first
	}
	return first.(statement)
}

func (p *Pool) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.learn(ctx, query).query(ctx, args)
}

func (p *Pool) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return p.learn(ctx, query).queryRow(ctx, args)
}

func (p *Pool) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.learn(ctx, query).exec(ctx, args)
}

// Once returns a querier that remembers no query: for those that are put
// together for one use, and of which there is no end.
func (p *Pool) Once() Querier { return once{p} }

type once struct{ pool *Pool }

func (o once) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return o.pool.db.QueryContext(ctx, o.pool.dialect.sql(query), args...)
}

func (o once) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return o.pool.db.QueryRowContext(ctx, o.pool.dialect.sql(query), args...)
}

func (o once) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return o.pool.db.ExecContext(ctx, o.pool.dialect.sql(query), args...)
}

// transaction runs queries in one transaction. It uses what the pool knows but
// learns nothing: there may be no second connection to compile on.
type transaction struct {
	pool *Pool
	tx   *sql.Tx
}

func (t transaction) statement(ctx context.Context, query string) statement {
	known, ok := t.pool.known.Load(query)
	if !ok {
		return statement{text: t.pool.dialect.sql(query), on: t.tx}
	}
	st := known.(statement)
	st.on = t.tx
	if st.compiled != nil {
		st.compiled = t.tx.StmtContext(ctx, st.compiled) // closed with the transaction
	}
	return st
}

func (t transaction) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.statement(ctx, query).query(ctx, args)
}

func (t transaction) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.statement(ctx, query).queryRow(ctx, args)
}

func (t transaction) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.statement(ctx, query).exec(ctx, args)
}

func (s statement) query(ctx context.Context, args []any) (*sql.Rows, error) {
	if s.compiled != nil {
		return s.compiled.QueryContext(ctx, args...)
	}
	return s.on.QueryContext(ctx, s.text, args...)
}

func (s statement) queryRow(ctx context.Context, args []any) *sql.Row {
	if s.compiled != nil {
		return s.compiled.QueryRowContext(ctx, args...)
	}
	return s.on.QueryRowContext(ctx, s.text, args...)
}

func (s statement) exec(ctx context.Context, args []any) (sql.Result, error) {
	if s.compiled != nil {
		return s.compiled.ExecContext(ctx, args...)
	}
	return s.on.ExecContext(ctx, s.text, args...)
}
