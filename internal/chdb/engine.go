// Package chdb runs ClickHouse inside a process of Herald: it loads libchdb,
// which is ClickHouse as a shared library, without cgo, and answers the
// ClickHouse HTTP interface on a loopback address, well enough for
// clickhouse-go. It is what `herald dev` and the tests use where there is no
// ClickHouse server; the SQL is the same.
//
// The engine belongs in a process of its own ([Run]): a crash in a C++ library
// should not take the message router with it.
package chdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// concurrency is how many statements run at a time; more only thrash the
// cores that Herald needs.
const concurrency = 4

// incoming is the folder for the bodies of inserts, inside the data folder.
const incoming = "incoming"

// Exception is an error that the engine itself reports. Its text is
// ClickHouse's own, such as "Code: 60. DB::Exception: Unknown table …".
type Exception struct {
	Code int // 0 if the text carries none
	Text string
}

func (e *Exception) Error() string { return e.Text }

// Param is the value of a {name:Type} placeholder, in ClickHouse's escaped
// text form (as the fields of TabSeparated), which is how HTTP carries it.
type Param struct{ Name, Value string }

// Setting is a setting of one statement.
type Setting struct{ Name, Value string }

// Statement is one query with all that it runs under.
type Statement struct {
	SQL      string
	Format   string // of the result, unless the query names one; "Native" by default
	Database string // "default" by default
	Params   []Param
	Settings []Setting
}

// Engine is the one ClickHouse of this process. It is safe for concurrent use.
type Engine struct {
	lib     *library
	dataDir string
	version string
	zone    string

	anchor uintptr       // a connection that stays open: the engine ends with its last one
	slots  chan struct{} // holds a token for each statement that runs
	close  sync.Once
}

// Open loads the library at libPath and starts the engine on dataDir, which it
// creates. ClickHouse allows one engine in a process and one process on a
// folder; Open fails if the folder is taken.
func Open(libPath, dataDir string) (*Engine, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("chdb: %w", err)
	}
	// What is in the folder for inserts was never acknowledged.
	if err := os.RemoveAll(filepath.Join(dataDir, incoming)); err != nil {
		return nil, fmt.Errorf("chdb: clear unfinished inserts: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dataDir, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("chdb: make the data folder: %w", err)
	}
	lib, err := load(libPath)
	if err != nil {
		return nil, err
	}
	lib.signals(0) // Go's own handlers stay
	e := &Engine{lib: lib, dataDir: dataDir, slots: make(chan struct{}, concurrency)}
	if e.anchor, err = e.connect(); err != nil {
		return nil, err
	}
	if err := e.greet(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// connect opens a session, which takes about a quarter of a millisecond.
func (e *Engine) connect() (handle uintptr, err error) {
	args := []string{"clickhouse", "--path=" + e.dataDir, "--log-level=error"}
	argv := make([]*byte, len(args))
	for i, a := range args {
		argv[i] = cBytes(a)
	}
	handle = e.lib.connect(int32(len(argv)), &argv[0])
	runtime.KeepAlive(argv)
	if handle == 0 {
		return 0, fmt.Errorf("chdb: the engine did not start on %s: is another process using the folder?", e.dataDir)
	}
	return handle, nil
}

// greet asks the engine who it is, which also proves that it works.
func (e *Engine) greet() error {
	out, err := e.Query(context.Background(), Statement{SQL: "SELECT version(), timezone()", Format: "TabSeparated"})
	if err != nil {
		return fmt.Errorf("chdb: first query: %w", err)
	}
	if _, err := fmt.Sscanf(string(out), "%s\t%s", &e.version, &e.zone); err != nil {
		return fmt.Errorf("chdb: first query answered %q: %w", out, err)
	}
	return nil
}

// Query runs one statement and returns its whole result. It waits for its turn
// as long as ctx allows; a statement that runs is not interrupted. An error of
// the engine is an [*Exception].
func (e *Engine) Query(ctx context.Context, st Statement) ([]byte, error) {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("chdb: wait for a turn: %w", ctx.Err())
	}
	// A session of its own, as over HTTP: what the statement sets is gone after it.
	handle, err := e.connect()
	if err != nil {
		return nil, err
	}
	defer e.lib.close(handle)
	conn := *(*uintptr)(pointer(handle))

	for _, set := range st.preamble() {
		if _, err := e.exec(conn, set, "", nil); err != nil {
			return nil, err
		}
	}
	return e.exec(conn, st.SQL, st.Format, st.Params)
}

// preamble is what has to run before the statement in its session.
func (st Statement) preamble() []string {
	var before []string
	if st.Database != "" && st.Database != "default" {
		before = append(before, "USE "+quoteName(st.Database))
	}
	if len(st.Settings) > 0 {
		pairs := make([]string, len(st.Settings))
		for i, s := range st.Settings {
			pairs[i] = quoteName(s.Name) + " = " + quoteValue(s.Value)
		}
		before = append(before, "SET "+strings.Join(pairs, ", "))
	}
	return before
}

func (e *Engine) exec(conn uintptr, sql, format string, params []Param) ([]byte, error) {
	if format == "" {
		format = "Native"
	}
	names, nameLens := make([]*byte, len(params)+1), make([]uintptr, len(params)+1)
	values, valueLens := make([]*byte, len(params)+1), make([]uintptr, len(params)+1)
	for i, p := range params {
		names[i], nameLens[i] = cBytes(p.Name), uintptr(len(p.Name))
		values[i], valueLens[i] = cBytes(p.Value), uintptr(len(p.Value))
	}
	result := e.lib.query(conn, cBytes(sql), uintptr(len(sql)), cBytes(format), uintptr(len(format)),
		&names[0], &nameLens[0], &values[0], &valueLens[0], uintptr(len(params)))
	runtime.KeepAlive(names)
	runtime.KeepAlive(values)
	if result == 0 {
		return nil, &Exception{Text: "the engine gave no result"}
	}
	defer e.lib.destroy(result)
	if text := e.lib.failure(result); text != "" {
		return nil, exception(text)
	}
	n := e.lib.length(result)
	if n == 0 {
		return nil, nil
	}
	out := make([]byte, n)
	copy(out, unsafe.Slice((*byte)(pointer(e.lib.buffer(result))), n))
	return out, nil
}

// Close waits for the statements that run and stops the engine, for good: it
// takes every turn and gives none back.
func (e *Engine) Close() {
	e.close.Do(func() {
		for range concurrency {
			e.slots <- struct{}{}
		}
		e.lib.close(e.anchor)
	})
}

var exceptionCode = regexp.MustCompile(`Code: (\d+)\. `)

// exception cuts what libchdb writes before ClickHouse's own text.
func exception(text string) *Exception {
	at := exceptionCode.FindStringSubmatchIndex(text)
	if at == nil {
		return &Exception{Text: text}
	}
	code, _ := strconv.Atoi(text[at[2]:at[3]])
	return &Exception{Code: code, Text: text[at[0]:]}
}

// pointer turns an address in C memory into a pointer. go vet cannot know
// that the memory is not Go's, hence the detour.
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
