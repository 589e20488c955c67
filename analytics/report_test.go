package analytics

import (
	"reflect"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func everything() Lens { return Lens{App: "demo", From: dawn, To: dawn.Add(3 * time.Hour)} }

func TestReportsAgreeWithTheStoresOwnAnswers(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(11, 2000)
	send(t, store, 500, rs)
	got, basis, err := store.ReportFunnel(t.Context(), everything())
	var want []FunnelRow
	for _, p := range append(providers, "") {
		want = append(want, expectedFunnel(rs, p, dawn, dawn.Add(3*time.Hour)))
	}
	if err != nil || basis.Scale != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("funnel: got  %+v, %v\nwant %+v", got, err, want)
	}
	byRow, _, err := store.ReportProviders(t.Context(), everything())
	if err != nil || len(byRow) != len(providers) {
		t.Fatalf("%d providers, %v; want %d", len(byRow), err, len(providers))
	}
	delivered := uint64(0)
	for _, r := range byRow {
		delivered += r.Delivered
	}
	delays, _, err := store.ReportLatency(t.Context(), everything())
	for _, r := range delays {
		delivered -= r.Delivered
		if r.P50Ms <= 0 || r.P99Ms < r.P95Ms || r.P95Ms < r.P50Ms {
			t.Errorf("times of %+v", r)
		}
	}
	if err != nil || delivered != 0 {
		t.Errorf("latency leaves out %d deliveries, %v", delivered, err)
	}
	lost, _, err := store.ReportLost(t.Context(), everything(), 1000)
	all, missing := want[len(want)-1], uint64(0)
	for _, r := range lost {
		missing += r.Deliveries
	}
	if err != nil || missing != all.Deliveries-all.Delivered {
		t.Errorf("%d deliveries are lost, %v; the funnel says %d", missing, err, all.Deliveries-all.Delivered)
	}
}

func TestReportsAreNarrowedByEveryWord(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	one := numbered(1)
	one.Campaign, one.Provider, one.Class, one.CostMicros = "spring", "sms", push.OTP, 7300
	proof := one
	proof.Stage, proof.Source, proof.CostMicros = push.Delivered, push.VendorCallback, 0
	other := numbered(2)
	other.Stage, other.Kind, other.Code = push.Failed, "rejected", "400"
	send(t, store, 10, []push.Receipt{one, proof, other})
	lens := Lens{App: "demo", From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}
	tests := map[string]struct {
		change             func(*Lens)
		deliveries, errors int
		micros             int64
	}{
		"all":              {func(*Lens) {}, 2, 1, 7300},
		"another app":      {func(l *Lens) { l.App = "other" }, 0, 0, 0},
		"a campaign":       {func(l *Lens) { l.Campaign = "spring" }, 1, 0, 7300},
		"another campaign": {func(l *Lens) { l.Campaign = "' OR 1" }, 0, 0, 0},
		"a class":          {func(l *Lens) { l.Class = "otp" }, 1, 0, 7300},
		"a provider":       {func(l *Lens) { l.Provider = "apns" }, 1, 1, 0},
		"an hour before":   {func(l *Lens) { *l = l.Before(2 * time.Hour) }, 0, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := lens
			tt.change(&l)
			funnel, _, err := store.ReportFunnel(t.Context(), l)
			deliveries := 0
			if len(funnel) > 0 {
				deliveries = int(funnel[len(funnel)-1].Deliveries)
			}
			if err != nil || deliveries != tt.deliveries {
				t.Errorf("%d deliveries, %v; want %d", deliveries, err, tt.deliveries)
			}
			failures, _, err := store.ReportErrors(t.Context(), l, 10)
			if err != nil || len(failures) != tt.errors {
				t.Errorf("errors %+v, %v; want %d", failures, err, tt.errors)
			}
			cost, _, err := store.ReportCost(t.Context(), l)
			micros := int64(0)
			for _, c := range cost {
				micros += c.CostMicros
			}
			if err != nil || micros != tt.micros {
				t.Errorf("cost %+v, %v; want %d", cost, err, tt.micros)
			}
		})
	}
}

func TestASampleHoldsWholeDeliveriesAndTheRightShare(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	config := smallSeed()
	config.Events, config.Batch = 40_000, 20_000
	if err := store.Seed(t.Context(), config, 1, func(int) {}); err != nil {
		t.Fatal(err)
	}
	var all, some uint64
	var parts int64
	err := store.conn.QueryRow(t.Context(), `
		SELECT (SELECT uniqExact(delivery) FROM receipts), (SELECT uniqExact(delivery) FROM sampled_receipts),
			(SELECT count() FROM receipts WHERE delivery IN (SELECT delivery FROM sampled_receipts)) - (SELECT count() FROM sampled_receipts)`).Scan(&all, &some, &parts)
	if err != nil {
		t.Fatal(err)
	}
	if share := float64(all) / float64(some); share < 12 || share > 22 || parts != 0 {
		t.Errorf("one delivery in %.1f, %d pieces of evidence left out; want one in 16, and none", share, parts)
	}
}
