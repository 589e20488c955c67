package analytics

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/internal/clickhousetest"
)

func TestCallsAreWrittenDownAndErasedWithTheirDevice(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	calls, err := NewCalls(store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().UTC().Truncate(time.Hour)
	for i, c := range []Call{
		{Service: "jobs", Device: "d1", Took: 10 * time.Millisecond, Bytes: 7, Exchange: []byte(`{"input":"***"}`)},
		{Service: "jobs", Device: "d1", Took: 20 * time.Millisecond, Code: "backend_timeout"},
		{Service: "jobs", Device: "d2", Took: time.Millisecond, Cached: "hit"},
		{Service: "cars", Device: "d2", Took: time.Millisecond},
	} {
		c.App, c.Operation, c.Version, c.At = "demo", "search", 2, hour.Add(time.Duration(i)*time.Second)
		calls.Record(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- calls.Run(ctx) }() // the table is made when it is missed
	read := func() []CallsHour {
		t.Helper()
		got, err := store.CallsByHour(t.Context(), "demo", "jobs", hour, hour.Add(time.Hour))
		if err != nil {
			return nil
		}
		return got
	}
	eventually(t, "the calls are in", func() bool { got := read(); return len(got) == 1 && got[0].Calls == 3 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := read()[0]; got.Failed != 1 || got.Cached != 1 || got.P50MS != 10 || !got.Hour.Equal(hour) {
		t.Errorf("the hour: %+v", got)
	}
	if got, err := store.CallsByHour(t.Context(), "other", "jobs", hour, hour.Add(time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("another app sees %+v, %v", got, err)
	}
	answer, err := store.Ask(t.Context(), "demo", "SELECT device, exchange FROM gateway_events WHERE exchange != ''", DefaultLimits())
	if err != nil || len(answer.Rows) != 1 || answer.Rows[0][0] != "d1" || answer.Rows[0][1] != `{"input":"***"}` {
		t.Errorf("a question: %+v, %v", answer.Rows, err)
	}
	if n, err := store.OfDevices(t.Context(), "demo", []string{"d1"}); err != nil || n != 2 {
		t.Errorf("%d events of the device, %v", n, err)
	}
	var told []Call
	err = store.EachCallOfDevices(t.Context(), "demo", []string{"d1"}, func(c Call) error { told = append(told, c); return nil })
	if err != nil || len(told) != 2 || string(told[0].Exchange) != `{"input":"***"}` || told[1].Code != "backend_timeout" || told[1].Took != 20*time.Millisecond {
		t.Errorf("the export: %+v, %v", told, err)
	}
	if err := store.EraseDevices(t.Context(), "demo", []string{"d1"}); err != nil {
		t.Fatal(err)
	}
	if got := read(); len(got) != 1 || got[0].Calls != 1 {
		t.Errorf("after the device is erased: %+v", got)
	}
}

func TestCallsThatNobodyTakesAreBounded(t *testing.T) {
	store, err := Open(t.Context(), "http://127.0.0.1:1/default")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	calls, err := NewCalls(store, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	for range callsKept + 3 {
		calls.Record(Call{App: "demo"})
	}
	found, err := registry.Gather()
	if err != nil || len(found) != 1 || found[0].GetMetric()[0].GetCounter().GetValue() != 3 || len(calls.waiting) != callsKept {
		t.Errorf("%d wait, lost %v, %v", len(calls.waiting), found, err)
	}
}
