package h2

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/freeport"
	"github.com/herald-push/herald/internal/need"
)

// identity is a certificate for 127.0.0.1 as PEM, and who trusts it.
type identity struct {
	cert, key string
	trust     *tls.Config
}

func newIdentity(t testing.TB) identity {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return identity{
		cert:  encode("CERTIFICATE", pair.Certificate[0]),
		key:   encode("PRIVATE KEY", der),
		trust: transportTo(t, srv).TLS,
	}
}

// run starts a program that is ended, by its process alone, with the test.
func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, errs.String())
		}
	})
}

// startNode serves with Node; config is what testdata/server.mjs reads.
func startNode(t testing.TB, config map[string]any) (url string, tr *Transport) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		need.Missing(t, "no Node on PATH")
	}
	id := newIdentity(t)
	config["key"], config["cert"] = id.key, id.cert
	line, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "testdata/server.mjs")
	cmd.Stdin = bytes.NewReader(append(line, '\n'))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, cmd)
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	tr = &Transport{TLS: id.trust}
	t.Cleanup(tr.CloseIdleConnections)
	return "https://127.0.0.1:" + strings.TrimSpace(port), tr
}

// startNginx serves with nginx, whose connections say goodbye after perConn
// requests.
func startNginx(t testing.TB, streams, perConn int) (url string, tr *Transport) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		need.Missing(t, "no nginx on PATH (apt-get install nginx)")
	}
	id, dir := newIdentity(t), t.TempDir()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", id.cert)
	write("key.pem", id.key)
	var temps strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temps, "%s_temp_path %s/tmp;\n", kind, dir)
	}
	write("nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off; client_max_body_size 4m; keepalive_requests %[3]d; http2_max_concurrent_streams %[4]d;
	%[5]s
	server {
		listen 127.0.0.1:%[2]d ssl http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
		location / { add_header X-Path $request_uri always; add_header X-Auth $http_authorization always; return 418 $http_x_body; }
	}
}`, dir, port, perConn, streams, temps.String()))
	run(t, exec.Command(nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for end := time.Now().Add(20 * time.Second); ; {
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = nc.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
	tr = &Transport{TLS: id.trust, MaxConns: 4}
	t.Cleanup(tr.CloseIdleConnections)
	return "https://" + addr, tr
}

// exchangeWith sends n requests from many at once and holds the answers against
// what was asked.
func exchangeWith(t *testing.T, tr http.RoundTripper, url, body string, n int, wantBody func(string) string) {
	t.Helper()
	next := make(chan int)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for i := range next {
				path := fmt.Sprintf("/3/device/%d?a=b", i)
				res, got, err := post(t.Context(), t, tr, url+path, body)
				for errors.Is(err, ErrNotSent) { // farewell after farewell: safe, so again
					res, got, err = post(t.Context(), t, tr, url+path, body)
				}
				switch {
				case err != nil:
					t.Errorf("request %d: %v", i, err)
				case res.StatusCode != http.StatusTeapot || got != wantBody(body):
					t.Errorf("request %d: status %d and %d bytes", i, res.StatusCode, len(got))
				case res.Header.Get("X-Path") != path || res.Header.Get("X-Auth") != "bearer x":
					t.Errorf("request %d: headers %v", i, res.Header)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

func TestServersNobodyHereWrote(t *testing.T) {
	same := func(s string) string { return s }
	none := func(string) string { return "" }
	large := strings.Repeat("0123456789abcdef", 20_000)
	t.Run("nginx", func(t *testing.T) {
		t.Parallel()
		// 3,000 requests over connections that end after 100: thirty farewells.
		url, tr := startNginx(t, 16, 100)
		exchangeWith(t, tr, url, "hello", tortures/20, none)
		exchangeWith(t, tr, url, large, 8, none)
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		url, tr := startNode(t, map[string]any{})
		exchangeWith(t, tr, url, "hello", tortures/20, same)
		exchangeWith(t, tr, url, large, 8, same)
	})
	t.Run("Node with a table, windows and streams of its own", func(t *testing.T) {
		t.Parallel()
		url, tr := startNode(t, map[string]any{"settings": map[string]int{
			"headerTableSize": 128, "initialWindowSize": 1000, "maxConcurrentStreams": 7, "maxFrameSize": 20000,
		}})
		exchangeWith(t, tr, url, "hello", tortures/50, same)
		exchangeWith(t, tr, url, large, 8, same)
	})
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		srv, tr := start(t, &http.HTTP2Config{MaxConcurrentStreams: 20}, echo)
		exchangeWith(t, tr, srv.URL, "hello", tortures/20, same)
		exchangeWith(t, tr, srv.URL, large, 8, same)
	})
}

// TestFarewellOfGosServerLosesNothing has net/http say goodbye all the time.
func TestFarewellOfGosServerLosesNothing(t *testing.T) {
	srv, tr := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path[len(r.URL.Path)-1] == '7' {
			w.Header().Set("Connection", "close") // GOAWAY, and the rest is still answered
		}
		echo(w, r)
	})
	tr.MaxConns = 2
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for k := range 16 {
		group.Go(func() {
			for i := range 60 {
				_, _, err := post(ctx, t, tr, fmt.Sprintf("%s/%d-%d", srv.URL, k, i), "x")
				for errors.Is(err, ErrNotSent) && ctx.Err() == nil {
					_, _, err = post(ctx, t, tr, fmt.Sprintf("%s/%d-%d", srv.URL, k, i), "x")
				}
				if err != nil {
					t.Errorf("%d-%d: %v", k, i, err)
				}
			}
		})
	}
	group.Wait()
}
