package h2

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// answer is a response on its way in.
type answer struct {
	res    http.Response
	status int
	bad    bool // a field is not allowed
	plain  bool // the pseudo fields are over
	got    []byte
	body   body
	taken  int       // of the stream's window
	room   [6]string // for the values of the first fields
	used   int
}

func newAnswer() *answer {
	a := &answer{}
	a.res.Proto, a.res.ProtoMajor = "HTTP/2.0", 2
	a.res.Header = make(http.Header, 8)
	return a
}

func (a *answer) malformed() bool { return a.bad }

// whole makes the response that the caller gets.
func (a *answer) whole(req *http.Request) error {
	length, told := a.res.Header["Content-Length"]
	if told && req.Method != http.MethodHead && a.status != http.StatusNotModified {
		if n, err := strconv.Atoi(length[0]); err != nil || n != len(a.got) {
			return fmt.Errorf("h2: answer of %d bytes says it has %.20q", len(a.got), length[0])
		}
	}
	a.res.StatusCode, a.res.Status = a.status, statusLine(a.status)
	a.res.Request = req
	a.res.ContentLength = int64(len(a.got))
	a.res.Body = http.NoBody
	if len(a.got) > 0 {
		a.body.Reset(a.got)
		a.res.Body = &a.body
	}
	return nil
}

func statusLine(code int) string {
	if code == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(code) + " " + http.StatusText(code)
}

// answerReader keeps the names that a server's answers use.
type answerReader struct{ canonical map[string]string }

// field adds a field to an answer.
func (r *answerReader) field(a *answer, f hpack.HeaderField) {
	if f.IsPseudo() {
		code, err := strconv.Atoi(f.Value)
		if a.plain || f.Name != ":status" || a.status != 0 || err != nil || len(f.Value) != 3 || code < 100 {
			a.bad = true
			return
		}
		a.status = code
		return
	}
	a.plain = true
	name := r.name(f.Name)
	if name == "" {
		a.bad = true
		return
	}
	if values, more := a.res.Header[name]; more || a.used == len(a.room) {
		a.res.Header[name] = append(values, f.Value)
		return
	}
	a.room[a.used] = f.Value
	a.res.Header[name] = a.room[a.used : a.used+1 : a.used+1]
	a.used++
}

// name gives a field's name as http.Header has it; "" for one that HTTP/2 does
// not allow.
func (r *answerReader) name(lower string) string {
	if name, known := r.canonical[lower]; known {
		return name
	}
	name := http.CanonicalHeaderKey(lower)
	switch lower {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		name = ""
	default:
		for i := range len(lower) {
			if c := lower[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' {
				name = ""
			}
		}
	}
	if r.canonical == nil || len(r.canonical) > 256 {
		r.canonical = map[string]string{}
	}
	r.canonical[lower] = name
	return name
}

// body is a response's body that is all there.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

func bodyOf(b []byte) io.ReadCloser {
	if len(b) == 0 {
		return http.NoBody
	}
	r := &body{}
	r.Reset(b)
	return r
}
