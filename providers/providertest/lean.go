package providertest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/h2"
)

// leanEnv makes a test's program a lean server; its value is the latency.
const leanEnv = "HERALD_LEAN_VENDOR"

// ServeLean turns the process into the server of [Lean] if it was started as
// one. A package with such benchmarks calls it first in TestMain.
func ServeLean() {
	latency, err := time.ParseDuration(os.Getenv(leanEnv))
	if err != nil {
		return
	}
	if err := serveLean(latency); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveLean accepts everything in the words of APNs and FCM until its input
// ends.
func serveLean(latency time.Duration) error {
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	defer certs.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	fmt.Print(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate().Raw})), "\n")
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	accept := func(w http.ResponseWriter, r *http.Request) {
		if latency > 0 {
			<-time.After(latency)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/3/device/"):
			w.Header()["Apns-Id"] = r.Header["Apns-Id"]
		case r.URL.Path == "/token":
			w.Header()["Content-Type"] = []string{"application/json"}
			_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("a", 200)+`","expires_in":3600,"token_type":"Bearer"}`)
		default:
			w.Header()["Content-Type"] = []string{"application/json; charset=UTF-8"}
			_, _ = io.WriteString(w, `{"name":"projects/demo/messages/0:1500415314455276%31bd1c9631bd1c96"}`)
		}
	}
	cfg := &tls.Config{Certificates: certs.TLS.Certificates}
	return (&h2.Server{Handler: http.HandlerFunc(accept), TLS: cfg}).Serve(ctx, ln)
}

// Lean starts a vendor that accepts everything after a latency, in a process of
// its own, so that what a benchmark's process uses is the client's alone.
func Lean(b *testing.B, latency time.Duration) (url, ca string) {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), leanEnv+"="+latency.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	addr, err := lines.ReadString('\n')
	for err == nil {
		var line string
		if line, err = lines.ReadString('\n'); line == "\n" {
			return "https://" + strings.TrimSpace(addr), ca
		}
		ca += line
	}
	b.Fatalf("lean server: %v", err)
	return "", ""
}

// Load has many callers make b.N requests and reports what each cost this
// process, in processor time of all its cores.
func Load(b *testing.B, callers int, send func(i int) error) {
	b.Helper()
	if err := send(0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var next atomic.Int64
	var group sync.WaitGroup
	began := processorTime()
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := send(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-began).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(0, "ns/op")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
