// Package tracing tells an OpenTelemetry collector the story of notifications:
// one trace from the API to every provider's answer and every receipt.
//
// Few notifications are traced, or none. Which ones is decided at the door, by
// chance or because the caller says so in its traceparent header; a notification
// carries the answer with it through the queue, and without one nothing else
// costs more than to see that it is not there.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/herald-push/herald/push"
)

// Config says whether and where traces go. Start from [DefaultConfig].
type Config struct {
	// Endpoint is the collector's address for OTLP over HTTP, such as
	// http://collector:4318. Default empty: nothing is traced.
	Endpoint string `yaml:"endpoint"`

	// Sample is the part of requests that begin a trace, 0 to 1. A request whose
	// traceparent header says "sampled" is always traced, one that says "not
	// sampled" never. Default 0.
	Sample float64 `yaml:"sample"`

	// Headers go with each export, such as an API key. Default none.
	Headers map[string]string `yaml:"headers"`
}

// DefaultConfig is what an empty tracing section of the config file means.
func DefaultConfig() Config { return Config{} }

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Endpoint != "" {
		if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, errors.New("tracing.endpoint: must be like http://collector:4318"))
		}
	}
	if c.Sample < 0 || c.Sample > 1 {
		errs = append(errs, fmt.Errorf("tracing.sample: %v is not between 0 and 1", c.Sample))
	}
	if c.Sample > 0 && c.Endpoint == "" {
		errs = append(errs, errors.New("tracing.sample: goes with tracing.endpoint"))
	}
	return errors.Join(errs...)
}

// flushTime bounds the last export when the process ends.
const flushTime = 5 * time.Second

// Tracer sends spans to a collector. A nil Tracer traces nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	w3c      propagation.TraceContext

	// Log, if set, gets a line for each attempt and each piece of evidence of what
	// is traced, which names the trace.
	Log *slog.Logger
}

// New makes a tracer, or nil where there is no collector. A collector that is
// away costs nobody anything: its spans are dropped.
func New(ctx context.Context, c Config, version string) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil //nolint:nilnil // a nil tracer is one that traces nothing
	}
	at, err := url.JoinPath(c.Endpoint, "/v1/traces")
	if err != nil {
		return nil, fmt.Errorf("tracing: endpoint: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(at), otlptracehttp.WithHeaders(c.Headers))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "herald"), attribute.String("service.version", version))),
	)
	return &Tracer{provider: p, tracer: p.Tracer("herald")}, nil
}

// Run waits for ctx to end and sends what is left.
func (t *Tracer) Run(ctx context.Context) error {
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	_ = t.provider.Shutdown(last) // a collector that is away takes its spans with it
	return nil
}

// Request begins the span of a request. Its trace is what a notification carries
// with it, "" if it is not traced; end must be called with what came of it.
func (t *Tracer) Request(r *http.Request) (ctx context.Context, traced string, end func(route string, status int)) {
	ctx = t.w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
	end = func(route string, status int) {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
	if span.SpanContext().IsSampled() {
		carrier := propagation.MapCarrier{}
		t.w3c.Inject(ctx, carrier)
		traced = carrier.Get("traceparent")
	}
	return ctx, traced, end
}

// Receipts adds the spans of attempts and evidence to the traces that their
// notifications carry.
func (t *Tracer) Receipts(rs []push.Receipt) {
	if t == nil {
		return
	}
	for i := range rs {
		if rs[i].Trace != "" {
			t.receipt(&rs[i])
		}
	}
}

// receipt writes one span: from the request to the answer of an attempt, or a
// moment for what was learned later.
func (t *Tracer) receipt(r *push.Receipt) {
	ctx := t.w3c.Extract(context.Background(), propagation.MapCarrier{"traceparent": r.Trace})
	name, from, kind := string(r.Stage), r.ReceivedAt, trace.SpanKindInternal
	switch {
	case r.Source == push.VendorReply:
		name, from, kind = "attempt "+r.Provider, r.ReceivedAt.Add(-r.Took), trace.SpanKindClient
		if r.Attempt == 1 {
			_, wait := t.tracer.Start(ctx, "queue", trace.WithTimestamp(r.ReceivedAt.Add(-r.SinceAccepted)), trace.WithAttributes(attribute.String("herald.delivery", r.Delivery)))
			wait.End(trace.WithTimestamp(from))
		}
	case r.Source != push.Herald:
		name = "receipt " + name
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithTimestamp(from), trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("herald.app", r.App), attribute.String("herald.notification", r.Notification),
		attribute.String("herald.delivery", r.Delivery), attribute.String("herald.class", string(r.Class)),
		attribute.String("herald.provider", r.Provider), attribute.Int("herald.attempt", r.Attempt),
		attribute.String("herald.stage", string(r.Stage)), attribute.String("herald.source", string(r.Source)),
		attribute.String("herald.kind", r.Kind), attribute.String("herald.code", r.Code), attribute.String("herald.why", r.Why),
	))
	if r.Stage == push.Failed {
		span.SetStatus(codes.Error, r.Kind)
	}
	span.End(trace.WithTimestamp(r.ReceivedAt))
	if t.Log != nil {
		t.Log.InfoContext(ctx, name, "app", r.App, "notification", r.Notification, "delivery", r.Delivery,
			"provider", r.Provider, "stage", r.Stage, "kind", r.Kind, "code", r.Code)
	}
}

// LogHandler adds the trace that a line belongs to.
func LogHandler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", s.TraceID().String()), slog.String("span_id", s.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(as []slog.Attr) slog.Handler { return handler{h.Handler.WithAttrs(as)} }

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
