package analytics

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// receipt is a row of the receipts table as a trace needs it.
type receipt struct {
	Delivery   string    `ch:"delivery"`
	Device     string    `ch:"device"`
	Attempt    uint16    `ch:"attempt"`
	Stage      string    `ch:"stage"`
	Source     string    `ch:"source"`
	Provider   string    `ch:"provider"`
	ProviderID string    `ch:"provider_id"`
	Kind       string    `ch:"kind"`
	Code       string    `ch:"code"`
	Detail     string    `ch:"detail"`
	Why        string    `ch:"why"`
	At         time.Time `ch:"at"`
	ReceivedAt time.Time `ch:"received_at"`
	SinceMs    float64   `ch:"since_ms"`
	TookMs     float64   `ch:"took_ms"`
	CostMicros int64     `ch:"cost_micros"`
	Answer     uint8     `ch:"answer"`

	Policy       string    `ch:"policy"`
	Wished       string    `ch:"wished"`
	Propensity   float32   `ch:"propensity"`
	Explored     uint8     `ch:"explored"`
	Online       uint8     `ch:"online"`
	Roads        []string  `ch:"roads"`
	Scores       []float32 `ch:"scores"`
	Propensities []float32 `ch:"propensities"`
	Costs        []float32 `ch:"costs"`
	Seconds      []float32 `ch:"seconds"`
}

// Trace tells the story of a notification's deliveries, in the order of device
// and delivery, at most limit of them, of one device if device is not "". The
// evidence of each is in the order of its arrival, and evidence that was
// recorded twice is told once.
//
// after is "" or the next of an earlier call; next is "" after the last
// delivery. A bad after is a [*push.Invalid].
func (s *Store) Trace(ctx context.Context, app, notification, device, after string, limit int) (traces []push.Trace, next string, err error) {
	afterDevice, afterDelivery, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	const query = `
		SELECT delivery, device, attempt, stage, source, provider, provider_id, kind, code, detail, why,
			at, received_at, since_ms, took_ms, cost_micros, answer,
			policy, wished, propensity, explored, online, roads, scores, propensities, costs, seconds
		FROM receipts
		WHERE app = {app:String} AND notification = {notification:String}
		  AND (device, delivery) IN (
			SELECT DISTINCT device, delivery
			FROM receipts
			WHERE app = {app:String} AND notification = {notification:String}
			  AND ({device:String} = '' OR device = {device:String})
			  AND (device, delivery) > ({after_device:String}, {after_delivery:String})
			ORDER BY device, delivery
			LIMIT {limit:UInt32})
		ORDER BY device, delivery, received_at, rank, attempt
		LIMIT 1 BY device, delivery, attempt, stage`

	found, err := rows[receipt](ctx, s, "trace", query,
		clickhouse.Named("app", app),
		clickhouse.Named("notification", notification),
		clickhouse.Named("device", device),
		clickhouse.Named("after_device", afterDevice),
		clickhouse.Named("after_delivery", afterDelivery),
		clickhouse.Named("limit", uint32(limit+1)),
	)
	if err != nil {
		return nil, "", err
	}
	traces = tell(found)
	if len(traces) > limit {
		traces = traces[:limit]
		last := traces[limit-1]
		next = cursor(last.Device, last.ID)
	}
	return traces, next, nil
}

// tell puts the rows of each delivery into a story. Rows of a delivery lie
// together.
func tell(found []receipt) []push.Trace {
	var traces []push.Trace
	for i := range found {
		r := &found[i]
		if n := len(traces); n == 0 || traces[n-1].ID != r.Delivery || traces[n-1].Device != r.Device {
			traces = append(traces, push.Trace{ID: r.Delivery, Device: r.Device, Attempts: []push.Attempt{}, Receipts: []push.Proof{}})
		}
		t := &traces[len(traces)-1]
		// What every provider that took it has taken back has failed.
		stage, takenBack := push.Stage(r.Stage), r.Source == string(push.Herald) && r.Stage == string(push.Failed)
		if stage.Rank() >= t.Stage.Rank() || takenBack && !t.Stage.Reaches(push.Delivered) {
			t.Stage = stage
		}
		if r.Answer == 1 {
			t.Attempts = append(t.Attempts, r.attempt())
		} else {
			t.Receipts = append(t.Receipts, r.proof())
		}
	}
	return traces
}

func (r *receipt) attempt() push.Attempt {
	return push.Attempt{
		Number: int(r.Attempt), Provider: r.Provider, ProviderID: r.ProviderID, Stage: push.Stage(r.Stage),
		Kind: r.Kind, Code: r.Code, Detail: r.Detail, Why: r.Why,
		At: r.At.UTC(), TookMillis: r.TookMs, CostMicros: r.CostMicros, Decision: r.decision(),
	}
}

func (r *receipt) decision() *push.Decision {
	if r.Policy == "" {
		return nil
	}
	d := &push.Decision{
		Policy: r.Policy, Propensity: float64(r.Propensity), Explored: r.Explored == 1, Online: r.Online == 1, Wished: r.Wished,
		Roads: make([]push.Candidate, 0, len(r.Roads)),
	}
	for i, provider := range r.Roads {
		if i < len(r.Scores) && i < len(r.Propensities) {
			d.Roads = append(d.Roads, push.Candidate{
				Provider: provider, Score: r.Scores[i], Propensity: r.Propensities[i],
				Cost: at(r.Costs, i), Chance: r.Scores[i] + at(r.Costs, i), Seconds: at(r.Seconds, i),
			})
		}
	}
	return d
}

// at is a number of an array that was left empty where all are 0.
func at(all []float32, i int) float32 {
	if i < len(all) {
		return all[i]
	}
	return 0
}

func (r *receipt) proof() push.Proof {
	return push.Proof{
		Stage: push.Stage(r.Stage), Source: push.Source(r.Source), Provider: r.Provider, Detail: r.Detail,
		At: r.At.UTC(), ReceivedAt: r.ReceivedAt.UTC(), AfterMs: r.SinceMs,
	}
}

// cursor names a delivery as a place to go on from.
func cursor(device, delivery string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(device + "\x00" + delivery))
}

func parseCursor(after string) (device, delivery string, err error) {
	if after == "" {
		return "", "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(after)
	device, delivery, ok := strings.Cut(string(raw), "\x00")
	if err != nil || !ok {
		return "", "", fmt.Errorf("analytics: trace: %w", &push.Invalid{Faults: []push.Fault{{Field: "after", Detail: "is not the next of an earlier page"}}})
	}
	return device, delivery, nil
}
