package chdb

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a request.
const (
	maxQuery  = 16 << 20  // bytes of a query's text, with the rows that stand in it
	maxInsert = 512 << 20 // bytes of an insert's body, which goes to a file first
	grace     = 10 * time.Second
)

// Serve answers the ClickHouse HTTP interface on ln until ctx ends, then lets
// the requests that run finish for up to ten seconds. It closes ln.
//
// It does what clickhouse-go needs: queries and inserts in any format,
// parameters, settings, a database per request, ClickHouse's own exceptions.
// It has no sessions, no compression, no streaming of results, and one user.
func (e *Engine) Serve(ctx context.Context, ln net.Listener, user, password string) error {
	if password == "" {
		return errors.New("chdb: serve without a password is not allowed")
	}
	front := &front{engine: e, user: sha256.Sum256([]byte(user)), password: sha256.Sum256([]byte(password))}
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Ok.\n") })
	mux.HandleFunc("/", front.serve)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute}

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("chdb: serve: %w", err)
	case <-ctx.Done():
	}
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(tidy); err != nil {
		_ = server.Close()
		return fmt.Errorf("chdb: stop serving: %w", err)
	}
	return nil
}

// front is the HTTP face of an engine.
type front struct {
	engine         *Engine
	user, password [32]byte // SHA-256, so that comparing takes the same time for every length
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if !f.allowed(r, params) {
		fail(w, http.StatusForbidden, &Exception{Code: 516, Text: "Code: 516. DB::Exception: Authentication failed: wrong user or password. (AUTHENTICATION_FAILED)"})
		return
	}
	out, err := f.answer(r, params)
	if err != nil {
		status := http.StatusInternalServerError
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		fail(w, status, err)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, _ = w.Write(out)
}

func (f *front) allowed(r *http.Request, params url.Values) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	if user == "" {
		user, password = params.Get("user"), params.Get("password")
	}
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(u[:], f.user[:])&subtle.ConstantTimeCompare(p[:], f.password[:]) == 1
}

// answer runs the request's statement. As in ClickHouse, the statement is the
// parameter "query" followed by the body, or, for an insert whose text ends
// with its FORMAT, the body is the rows.
func (f *front) answer(r *http.Request, params url.Values) ([]byte, error) {
	if params.Get("compress") == "1" || params.Get("decompress") == "1" || r.Header.Get("Content-Encoding") != "" {
		return nil, unsupported("compression")
	}
	st, err := statement(params)
	if err != nil {
		return nil, err
	}
	if insert := insertText.FindStringSubmatch(st.SQL); insert != nil {
		return f.insert(r, st, insert)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxQuery))
	if err != nil {
		return nil, fmt.Errorf("read the query: %w", err)
	}
	st.SQL += string(body)
	if st.SQL == helloQuery {
		return hello(f.engine.version, f.engine.zone), nil
	}
	return f.engine.Query(r.Context(), st)
}

// insertText splits an insert whose rows are in the body: the head, its
// settings, the name of the format.
var insertText = regexp.MustCompile(`(?is)^(\s*INSERT\s+INTO\s.+?)(\s+SETTINGS\s.+?)?\s+FORMAT\s+(\w+)[\s;]*$`)

// insert keeps the rows in a file until they are all there, so that a caller
// that dies half way leaves nothing in the table.
func (f *front) insert(r *http.Request, st Statement, text []string) ([]byte, error) {
	file, err := os.CreateTemp(filepath.Join(f.engine.dataDir, incoming), "rows-")
	if err != nil {
		return nil, fmt.Errorf("make a file for the rows: %w", err)
	}
	defer os.Remove(file.Name())
	n, err := io.Copy(file, http.MaxBytesReader(nil, r.Body, maxInsert))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	st.SQL = text[1] + " FROM INFILE " + quoteValue(file.Name()) + text[2] + " FORMAT " + text[3]
	return f.engine.Query(r.Context(), st)
}

// spoken are the parameters that say something else than a setting, and
// ignored those that change nothing here.
var (
	spoken  = []string{"query", "database", "default_format", "user", "password"}
	ignored = []string{"client_protocol_version", "query_id", "quota_key", "wait_end_of_query", "buffer_size", "compress", "decompress", "enable_http_compression", "stacktrace"}
)

// statement reads all but the body from the URL: every parameter that is not
// known is a setting, as in ClickHouse.
func statement(params url.Values) (Statement, error) {
	st := Statement{SQL: params.Get("query"), Format: params.Get("default_format"), Database: params.Get("database")}
	if st.Format == "" {
		st.Format = "TabSeparated"
	}
	for name := range params {
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			st.Params = append(st.Params, Param{param, params.Get(name)})
		case slices.Contains(spoken, name) || slices.Contains(ignored, name):
		case strings.HasPrefix(name, "session_"):
			return st, unsupported("sessions")
		default:
			st.Settings = append(st.Settings, Setting{name, params.Get(name)})
		}
	}
	return st, nil
}

func unsupported(what string) error {
	return &Exception{Code: 1, Text: "Code: 1. DB::Exception: The embedded engine does not support " + what + " over HTTP. (UNSUPPORTED_METHOD)"}
}

// fail writes an error as ClickHouse does, so that drivers show it.
func fail(w http.ResponseWriter, status int, err error) {
	exception := new(Exception)
	if !errors.As(err, &exception) {
		exception = &Exception{Code: 1002, Text: "Code: 1002. DB::Exception: " + err.Error() + ". (UNKNOWN_EXCEPTION)"}
	}
	if exception.Code != 0 {
		w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(exception.Code))
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, exception.Text+"\n")
}
