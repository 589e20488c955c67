package xmpp

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/push"
)

const (
	domain = "push.example.org"
	secret = "c0mponent-s3cret"
	jid    = "ann@example.org"
)

// fake is a server that knows one component.
type fake struct {
	*watched.State

	ln       net.Listener
	ca       string
	behave   func(f *fake, c net.Conn, in *reader)
	conns    []net.Conn
	stanzas  []*element
	messages atomic.Int64
	header   string // what it says first
}

func startFake(t *testing.T, behave func(f *fake, c net.Conn, in *reader)) *fake {
	t.Helper()
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: borrowed.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		State: watched.New(10 * time.Second), ln: ln, behave: behave,
		ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: borrowed.Certificate().Raw})),
		header: `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' ` +
			`xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='push.example.org'>`,
	}
	t.Cleanup(func() {
		ln.Close()
		f.cut()
	})
	go f.serve()
	return f
}

func (f *fake) serve() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.Change(func() { f.conns = append(f.conns, c) })
		go func() {
			defer c.Close()
			in := newReader(c)
			if _, err := in.open(); err != nil {
				return
			}
			fmt.Fprint(c, f.header)
			f.behave(f, c, in)
		}()
	}
}

// cut breaks every connection.
func (f *fake) cut() {
	f.Change(func() {
		for _, c := range f.conns {
			c.Close()
		}
	})
}

// say sends to the newest connection.
func (f *fake) say(format string, args ...any) {
	f.Lock()
	defer f.Unlock()
	fmt.Fprintf(f.conns[len(f.conns)-1], format, args...)
}

// settled counts the messages once all that were sent have arrived: whatever
// the component wrote stands before its answer to a question.
func (f *fake) settled(t *testing.T) int {
	t.Helper()
	f.Lock()
	connected, asked := len(f.conns) > 0, fmt.Sprint("settled-", len(f.stanzas))
	f.Unlock()
	if connected {
		f.say(`<iq type='get' id='%s' from='example.org' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>`, asked, domain)
		f.Await(t, "answer", func() bool {
			return slices.ContainsFunc(f.stanzas, func(e *element) bool { return e.attr("id") == asked })
		})
	}
	return int(f.messages.Load())
}

// accepts is a server that takes whatever it is sent.
func accepts(f *fake, c net.Conn, in *reader) {
	if !shakes(c, in) {
		return
	}
	for {
		e, err := in.next()
		if err != nil {
			return
		}
		if e.Name.Local == "message" {
			f.messages.Add(1)
		}
		f.Change(func() { f.stanzas = append(f.stanzas, e) })
	}
}

// shakes has the component prove that it knows the secret.
func shakes(c net.Conn, in *reader) bool {
	e, err := in.next()
	sum := sha1.Sum([]byte("s1" + secret))
	if err != nil || e.Name.Local != "handshake" || e.text != hex.EncodeToString(sum[:]) {
		return false
	}
	fmt.Fprint(c, "<handshake/>")
	return true
}

// refuses answers the handshake with a stream error that repeats the secret.
func refuses(condition string) func(*fake, net.Conn, *reader) {
	return func(_ *fake, c net.Conn, in *reader) {
		_, _ = in.next()
		fmt.Fprintf(c, `<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>`+
			`<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>%s</text></stream:error></stream:stream>`, condition, secret)
	}
}

func (f *fake) open(t *testing.T, more map[string]any) *Provider {
	t.Helper()
	return openAt(t, f.ln.Addr().String(), f.ca, more)
}

func openAt(t testing.TB, address, ca string, more map[string]any) *Provider {
	t.Helper()
	c := map[string]any{"address": address, "domain": domain, "secret": secret, "tls": true, "ca": ca}
	maps.Copy(c, more)
	raw, _ := json.Marshal(c)
	p, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.(*Provider).CloseIdleConnections)
	return p.(*Provider)
}

func delivery(id string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: strings.Split(id, ".")[0], Class: push.Transactional, Title: "Shipped <&> \"now\"", Body: "On its way\x00]]>",
			Data: map[string]string{"order": "8812", "html": "</json><x>"}, ExpiresAt: time.Now().Add(time.Hour),
		},
		ID: id, Device: "phone/1",
		Address: push.Address{Provider: name, Token: jid},
	}
}
