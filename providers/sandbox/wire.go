package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// What holds for connections that are not HTTP's.
const (
	wireHello  = 10 * time.Second // until a client has said who it is
	wireWrite  = 10 * time.Second
	wireAtOnce = 1000 // requests of a connection; more wait in the network
)

// wire serves a protocol that is not HTTP, under TLS to those who begin so: talk
// has each connection to itself.
func wire(cert *tls.Config, talk func(ctx context.Context, c net.Conn)) func(context.Context, net.Listener) error {
	return func(ctx context.Context, on net.Listener) error {
		var talking sync.WaitGroup
		defer talking.Wait()
		for {
			c, err := on.Accept()
			if err != nil {
				return err
			}
			talking.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				if c, err := heard(c, cert); err == nil {
					talk(ctx, c)
				}
			})
		}
	}
}

// heard tells by the first octet how a client speaks: TLS begins with 22, and
// neither SMPP nor XMPP does.
func heard(c net.Conn, cert *tls.Config) (net.Conn, error) {
	_ = c.SetReadDeadline(time.Now().Add(wireHello)) // one that cannot ends at the first read
	in := bufio.NewReader(c)
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	plain := &begun{c, in}
	if first[0] != 22 {
		return plain, nil
	}
	return tls.Server(plain, cert), nil
}

// begun is a connection whose first octets have been read.
type begun struct {
	net.Conn
	in *bufio.Reader
}

// NetConn is the connection underneath.
func (b *begun) NetConn() net.Conn { return b.Conn }

func (b *begun) Read(p []byte) (int, error) { return b.in.Read(p) }

// turn is the answer to one request of such a protocol. The request is told as
// HTTP would, so that settings, scripts and the list of requests are the same
// for every vendor.
type turn struct {
	header http.Header
	status int
	body   bytes.Buffer
	cut    bool // there is no answer, and the connection breaks
}

// refusedWith is the header that has a vendor's word.
const refusedWith = "Refused"

func (t *turn) Header() http.Header { return t.header }

func (t *turn) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
}

func (t *turn) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	return t.body.Write(p)
}

// word is what the request was refused with; "" if it was not.
func (t *turn) word() string { return t.header.Get(refusedWith) }

// ends reports whether the connection takes no more after this answer.
func (t *turn) ends() bool { return t.header.Get("Connection") == "close" }

// foreign reports whether the answer is none of the vendor's but octets as they
// are, such as a page of something in between.
func (t *turn) foreign() bool { return t.status != 0 && t.status != http.StatusOK && t.word() == "" }

// tellTurn is how such a vendor tells its word.
func tellTurn(w http.ResponseWriter, word string) {
	w.Header().Set(refusedWith, word)
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(word))
}

// take has a request answered, after whatever the script asks for. What is said
// of it is JSON, without secrets.
func (v *vendor) take(ctx context.Context, proto, method string, said any, answer http.HandlerFunc) *turn {
	text, err := json.Marshal(said)
	if err != nil {
		text = nil // strings and numbers always encode
	}
	r := (&http.Request{
		Proto: proto, ProtoMajor: 1, Method: method, URL: &url.URL{Path: "/" + method}, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(text)),
	}).WithContext(ctx)
	t := &turn{header: http.Header{}}
	func() {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				t.cut = true
			}
		}()
		v.front(answer).ServeHTTP(t, r)
	}()
	return t
}

// greets plays what befalls a client before it may send: the outage of the
// moment, the latency, and an error that only a newcomer hears. It reports
// whether that was the answer.
func (v *vendor) greets(w http.ResponseWriter, r *http.Request) bool {
	s := v.settings.Load()
	if v.trouble(w, r, s) || !pause(r, s.latency()) {
		return true
	}
	if s.Error != "" && v.words.opening(s.Error) && happens(s.ErrorRate) {
		v.refuse(w, s.Error)
		return true
	}
	return false
}

// mute reports whether the vendor hears and says nothing.
func (v *vendor) mute() bool { return v.settings.Load().Outage == Hang }

// line is the writing end of a connection.
type line struct {
	conn net.Conn
	mu   sync.Mutex
}

// say writes as a whole; a connection that cannot take it is closed, so that
// its reader notices.
func (l *line) say(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(wireWrite))
	if _, err := l.conn.Write(b); err != nil {
		_ = l.conn.Close()
	}
}
