package tracing

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/herald-push/herald/push"
)

// receiver is a collector that keeps what it gets.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	c := &receiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "k" || proto.Unmarshal(raw, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// trace runs do with a tracer and returns what the collector got.
func traced(t *testing.T, sample float64, do func(tr *Tracer)) []*otlp.Span {
	t.Helper()
	c := startReceiver(t)
	tr, err := New(t.Context(), Config{Endpoint: c.URL, Sample: sample, Headers: map[string]string{"X-Key": "k"}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	do(tr)
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := tr.Run(ctx); err != nil { // sends what is left, and returns when that is done
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func request(traceparent string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/notifications", nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	return r
}

func TestANotificationHasOneTrace(t *testing.T) {
	t.Parallel()
	spans := traced(t, 0, func(tr *Tracer) {
		_, trace, end := tr.Request(request(caller))
		end("/v1/notifications", 202)
		now := time.Now()
		base := push.Receipt{App: "demo", Notification: "n1", Delivery: "n1.0.0", Class: push.OTP, Trace: trace, ReceivedAt: now}
		refused, taken, seen, other := base, base, base, base
		refused.Source, refused.Stage, refused.Kind, refused.Provider, refused.Attempt = push.VendorReply, push.Failed, "rejected", "apns", 1
		refused.Took, refused.SinceAccepted = 20*time.Millisecond, 50*time.Millisecond
		taken.Source, taken.Stage, taken.Provider, taken.Attempt, taken.Took = push.VendorReply, push.Accepted, "fcm", 2, 30*time.Millisecond
		seen.Source, seen.Stage, seen.Provider, seen.Attempt = push.AppReport, push.Displayed, "fcm", 2
		other.Trace = ""
		tr.Receipts([]push.Receipt{refused, taken, other})
		tr.Receipts([]push.Receipt{seen})
	})
	var names []string
	byName := map[string]*otlp.Span{}
	for _, s := range spans {
		names, byName[s.Name] = append(names, s.Name), s
		if got := hex.EncodeToString(s.TraceId); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("span %s is in trace %s, not the caller's", s.Name, got)
		}
	}
	slices.Sort(names)
	want := []string{"POST /v1/notifications", "attempt apns", "attempt fcm", "queue", "receipt displayed"}
	if !slices.Equal(names, want) {
		t.Fatalf("spans %v, want %v", names, want)
	}
	door := byName["POST /v1/notifications"]
	if got := hex.EncodeToString(door.ParentSpanId); got != "b7ad6b7169203331" {
		t.Errorf("the door's parent is %s, not the caller's span", got)
	}
	for _, name := range want[1:] {
		if !bytes.Equal(byName[name].ParentSpanId, door.SpanId) {
			t.Errorf("%s is not below the door", name)
		}
	}
	if s := byName["attempt apns"]; s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || s.EndTimeUnixNano-s.StartTimeUnixNano != uint64(20*time.Millisecond) {
		t.Errorf("the refused attempt is %v", s)
	}
	if s := byName["queue"]; s.EndTimeUnixNano-s.StartTimeUnixNano != uint64(30*time.Millisecond) {
		t.Errorf("it waited for %v, want 30ms", time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano))
	}
}

func TestWhoIsTraced(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sample float64
		header string
		want   bool
	}{
		"nobody by default":               {0, "", false},
		"all, where that is asked for":    {1, "", true},
		"the caller says so":              {0, caller, true},
		"the caller says no":              {1, strings.TrimSuffix(caller, "1") + "0", false},
		"a header that makes no sense":    {0, "00-nonsense-01", false},
		"nonsense does not hinder chance": {1, "00-nonsense-01", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := traced(t, tt.sample, func(tr *Tracer) {
				_, trace, end := tr.Request(request(tt.header))
				end("/v1/notifications", 202)
				if (trace != "") != tt.want {
					t.Errorf("trace = %q, want one: %v", trace, tt.want)
				}
			})
			if (len(spans) == 1) != tt.want {
				t.Errorf("the collector got %d spans, want one: %v", len(spans), tt.want)
			}
		})
	}
}

func TestLinesOfTheLogNameTheirTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(LogHandler(slog.NewTextHandler(&out, nil))).With("a", 1)
	traced(t, 0, func(tr *Tracer) {
		ctx, _, end := tr.Request(request(caller))
		defer end("/v1/notifications", 202)
		log.InfoContext(ctx, "inside")
		log.InfoContext(context.Background(), "outside")
		tr.Log = log
		tr.Receipts([]push.Receipt{
			{App: "shop", Notification: "n1", Delivery: "n1.0.0", Provider: "apns", Stage: push.Accepted, Source: push.VendorReply, Attempt: 1, Trace: caller},
			{App: "shop", Notification: "untraced", Stage: push.Accepted},
		})
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	const named = "trace_id=0af7651916cd43dd8448eb211c80319c"
	if len(lines) != 3 || !strings.Contains(lines[0], named) || strings.Contains(lines[1], "trace_id") ||
		!strings.Contains(lines[2], named) || !strings.Contains(lines[2], `msg="attempt apns"`) || !strings.Contains(lines[2], "delivery=n1.0.0") {
		t.Errorf("the log says %q", lines)
	}
}

func TestACollectorThatIsAwayHindersNobody(t *testing.T) {
	t.Parallel()
	c := startReceiver(t)
	c.Close()
	tr, err := New(t.Context(), Config{Endpoint: c.URL, Sample: 1}, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, _, end := tr.Request(request(""))
	end("/v1/notifications", 202)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Run(ctx); err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestFaultsOfTheConfigurationNameTheirKeys(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"no scheme":       {Config{Endpoint: "collector:4318"}, "tracing.endpoint"},
		"more than all":   {Config{Endpoint: "http://c:4318", Sample: 1.5}, "tracing.sample"},
		"nowhere to send": {Config{Sample: 0.1}, "tracing.sample"},
		"an odd protocol": {Config{Endpoint: "grpc://c:4317"}, "tracing.endpoint"},
	} {
		if err := tt.cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Validate() = %v, want a word about %s", name, err, tt.want)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

// What is not traced costs nothing.
func TestReceiptsThatAreNotTracedCostNothing(t *testing.T) {
	rs := make([]push.Receipt, 100)
	var off *Tracer
	on, err := New(t.Context(), Config{Endpoint: "http://127.0.0.1:1"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for name, tr := range map[string]*Tracer{"off": off, "on": on} {
		if n := testing.AllocsPerRun(100, func() { tr.Receipts(rs) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkReceiptsNotTraced(b *testing.B) {
	rs := make([]push.Receipt, 100)
	var off *Tracer
	for b.Loop() {
		off.Receipts(rs)
	}
}
