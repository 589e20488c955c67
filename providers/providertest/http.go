package providertest

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald/internal/freeport"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Service describes a service that speaks HTTP.
type Service struct {
	Name string
	// Open opens the provider with the endpoint and the CA's PEM.
	Open func(t *testing.T, endpoint, ca string) providers.Provider
	// Accept answers an attempt as the service does when it takes the message.
	Accept http.HandlerFunc
	// Aside serves requests that are no attempt, such as one for an access
	// token, and reports whether it did. It may be nil.
	Aside func(w http.ResponseWriter, r *http.Request) bool
	// HTTP2 shapes the fake's side of HTTP/2; nil is Go's default.
	HTTP2 *http.HTTP2Config
	// Refusals are the service's own ways to refuse, and what they must become.
	Refusals map[Behaviour]Refusal
	Delivery func(id string) *push.Delivery
	TooLarge *push.Delivery
	Secrets  []string
}

// Refusal is one way of a service to refuse.
type Refusal struct {
	Answer http.HandlerFunc
	Kind   error
}

// HTTP makes a harness for a service that speaks HTTP/2 or HTTP/1.1 over TLS.
func HTTP(s Service) Harness {
	h := Harness{
		Name: s.Name, Start: s.start, Delivery: s.Delivery,
		TooLarge: s.TooLarge, Secrets: s.Secrets, Refusals: make(map[Behaviour]error),
	}
	for b, r := range s.Refusals {
		h.Refusals[b] = r.Kind
	}
	return h
}

func (s Service) start(t *testing.T, b Behaviour) Fixture {
	var attempts atomic.Int64
	stop := make(chan struct{})
	answer := s.answer(b, stop)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Aside != nil && s.Aside(w, r) {
			return
		}
		attempts.Add(1)
		answer(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.Config.HTTP2 = s.HTTP2
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are meant
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(stop) }) // runs before Close, which waits for handlers

	endpoint := srv.URL
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	switch b {
	case BadCertificate:
		ca = ""
	case RefusesToTalk:
		endpoint = "https://" + closedPort(t)
	case HangsAtHello:
		endpoint = "https://" + silentPort(t)
	default: // the server's handler behaves as told
	}
	p := s.Open(t, endpoint, ca)
	if c, ok := p.(interface{ CloseIdleConnections() }); ok {
		t.Cleanup(c.CloseIdleConnections)
	}
	return Fixture{Provider: p, Attempts: func() int { return int(attempts.Load()) }}
}

// answer is the handler that behaves as told; stop lets go of those that hang.
func (s Service) answer(b Behaviour, stop <-chan struct{}) http.HandlerFunc {
	switch b {
	case Hangs:
		return func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	case Cuts:
		return func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
	case AnswersHTML:
		return page(http.StatusBadGateway)
	case AcceptsHTML:
		return page(http.StatusOK)
	default:
		if r, ok := s.Refusals[b]; ok {
			return r.Answer
		}
		return s.Accept
	}
}

// page repeats the whole request, as some debugging pages do.
func page(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><h1>%d</h1>%s %v %s</html>", status, r.URL, r.Header, body)
	}
}

// JSON answers with a status and a body.
func JSON(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Report is the request by which a service reports to an app's callback; the
// body is handed over beside it.
func Report(t *testing.T, provider, app string) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/callbacks/"+provider+"?app="+url.QueryEscape(app), nil)
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// silentPort is an address where connections are taken and nothing is said.
func silentPort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes them; nobody calls Accept
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}
