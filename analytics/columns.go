package analytics

import (
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/herald-push/herald/push"
)

// column fills one column of the receipts table from a batch. Whole columns
// cost the driver a fifth of what rows cost it.
type column struct {
	name, kind string
	fill       func(to driver.BatchColumn, rs []push.Receipt) error
}

// columns is the receipts table as the writer sees it, in the order of the
// INSERT. A test holds it against the migrations.
func columns() []column {
	return []column{
		text("app", func(r *push.Receipt) string { return r.App }),
		plain("notification", func(r *push.Receipt) string { return r.Notification }),
		plain("device", func(r *push.Receipt) string { return r.Device }),
		plain("delivery", func(r *push.Receipt) string { return r.Delivery }),
		cells("attempt", "UInt16", func(r *push.Receipt) uint16 { return uint16(r.Attempt) }),
		text("stage", func(r *push.Receipt) string { return string(r.Stage) }),
		text("source", func(r *push.Receipt) string { return string(r.Source) }),
		text("class", func(r *push.Receipt) string { return string(r.Class) }),
		text("provider", func(r *push.Receipt) string { return r.Provider }),
		plain("provider_id", func(r *push.Receipt) string { return r.ProviderID }),
		text("kind", func(r *push.Receipt) string { return r.Kind }),
		text("code", func(r *push.Receipt) string { return r.Code }),
		plain("detail", func(r *push.Receipt) string { return r.Detail }),
		plain("why", func(r *push.Receipt) string { return r.Why }),
		cells("at", moment, func(r *push.Receipt) time.Time { return r.At }),
		cells("received_at", moment, func(r *push.Receipt) time.Time { return r.ReceivedAt }),
		cells("accepted_at", moment, func(r *push.Receipt) time.Time { return r.ReceivedAt.Add(-r.SinceAccepted) }),
		cells("since_ms", "Float64", func(r *push.Receipt) float64 { return millis(r.SinceAccepted) }),
		cells("took_ms", "Float64", func(r *push.Receipt) float64 { return millis(r.Took) }),
		cells("cost_micros", "Int64", func(r *push.Receipt) int64 { return r.CostMicros }),
		cells("bytes", "UInt32", func(r *push.Receipt) uint32 { return uint32(r.Bytes) }),
		text("platform", func(r *push.Receipt) string { return r.Platform }),
		text("maker", func(r *push.Receipt) string { return r.Maker }),
		text("os", func(r *push.Receipt) string { return r.OS }),
		text("app_version", func(r *push.Receipt) string { return r.AppVersion }),
		text("country", func(r *push.Receipt) string { return r.Country }),
		text("carrier", func(r *push.Receipt) string { return r.Carrier }),
		cells("rank", "UInt8", func(r *push.Receipt) uint8 { return uint8(r.Stage.Rank()) }),
		cells("answer", "UInt8", answer),
		text("policy", func(r *push.Receipt) string { return decided(r).Policy }),
		text("wished", func(r *push.Receipt) string { return decided(r).Wished }),
		cells("propensity", "Float32", func(r *push.Receipt) float32 { return float32(decided(r).Propensity) }),
		cells("explored", "UInt8", func(r *push.Receipt) uint8 { return flag(decided(r).Explored) }),
		cells("online", "UInt8", func(r *push.Receipt) uint8 { return flag(decided(r).Online) }),
		cells("roads", "Array(LowCardinality(String))", func(r *push.Receipt) []string {
			return candidates(r, func(c push.Candidate) string { return c.Provider })
		}),
		cells("scores", "Array(Float32)", func(r *push.Receipt) []float32 {
			return candidates(r, func(c push.Candidate) float32 { return c.Score })
		}),
		cells("propensities", "Array(Float32)", func(r *push.Receipt) []float32 {
			return candidates(r, func(c push.Candidate) float32 { return c.Propensity })
		}),
		text("campaign", func(r *push.Receipt) string { return r.Campaign }),
		cells("road", "UInt8", func(r *push.Receipt) uint8 { return uint8(min(max(r.Road, 0), 255)) }),
		cells("skew_ms", "Int32", func(r *push.Receipt) int32 { return int32(r.Skew.Milliseconds()) }),
		cells("costs", "Array(Float32)", func(r *push.Receipt) []float32 {
			return known(candidates(r, func(c push.Candidate) float32 { return c.Cost }))
		}),
		cells("seconds", "Array(Float32)", func(r *push.Receipt) []float32 {
			return known(candidates(r, func(c push.Candidate) float32 { return c.Seconds }))
		}),
	}
}

// decided is how the receipt's road was chosen, empty where nothing was.
func decided(r *push.Receipt) push.Decision {
	if r.Decision == nil {
		return push.Decision{}
	}
	return *r.Decision
}

func candidates[T any](r *push.Receipt, of func(push.Candidate) T) []T {
	if r.Decision == nil {
		return nil
	}
	all := make([]T, len(r.Decision.Roads))
	for i, c := range r.Decision.Roads {
		all[i] = of(c)
	}
	return all
}

// known is numbers of which one is not 0, or else nothing.
func known(all []float32) []float32 {
	if slices.ContainsFunc(all, func(x float32) bool { return x != 0 }) {
		return all
	}
	return nil
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// answer is 1 for the outcome of an attempt itself. What a vendor's callback
// or a device says later is not one, nor is an outcome without an attempt.
func answer(r *push.Receipt) uint8 {
	if r.Provider == "" || r.Attempt < 1 || (r.Source != push.VendorReply && r.Source != push.Herald) {
		return 0
	}
	switch r.Stage {
	case push.Accepted, push.HandedOver, push.Failed, push.Unknown:
		return 1
	default:
		return 0
	}
}

const moment = "DateTime64(3, 'UTC')"

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func text(name string, of func(*push.Receipt) string) column {
	return cells(name, "LowCardinality(String)", of)
}

func plain(name string, of func(*push.Receipt) string) column { return cells(name, "String", of) }

func cells[T any](name, kind string, of func(*push.Receipt) T) column {
	return column{name: name, kind: kind, fill: func(to driver.BatchColumn, rs []push.Receipt) error {
		values := make([]T, len(rs))
		for i := range rs {
			values[i] = of(&rs[i])
		}
		return to.Append(values)
	}}
}

// types tells the driver the columns, which saves it a DESCRIBE per batch.
func types(cs []column) []clickhouse.ColumnNameAndType {
	out := make([]clickhouse.ColumnNameAndType, len(cs))
	for i, c := range cs {
		out[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
	}
	return out
}
