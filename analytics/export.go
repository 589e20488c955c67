package analytics

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// devicesAtOnce is how many devices one query of an export is about.
const devicesAtOnce = 100

// whole is a row of the receipts table with all that is kept in it.
type whole struct {
	receipt
	Notification string `ch:"notification"`
	Class        string `ch:"class"`
	Campaign     string `ch:"campaign"`
	Road         uint8  `ch:"road"`
	Skew         int32  `ch:"skew_ms"`
	Bytes        uint32 `ch:"bytes"`
	Platform     string `ch:"platform"`
	Maker        string `ch:"maker"`
	OS           string `ch:"os"`
	AppVersion   string `ch:"app_version"`
	Country      string `ch:"country"`
	Carrier      string `ch:"carrier"`
	EventID      string `ch:"id"`
}

// EachOfDevices tells each event that names one of the devices, the evidence of
// a stage once, oldest first for a hundred devices at a time. It holds one block
// of rows in memory, and ends with the first error of tell.
func (s *Store) EachOfDevices(ctx context.Context, app string, devices []string, tell func(push.Receipt) error) error {
	for some := range slices.Chunk(devices, devicesAtOnce) {
		if err := s.eachOf(ctx, app, some, tell); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOf(ctx context.Context, app string, devices []string, tell func(push.Receipt) error) error {
	const query = `
		SELECT event_id AS id, delivery, device, attempt, stage, source, provider, provider_id, kind, code, detail, why,
			at, received_at, since_ms, took_ms, cost_micros, answer,
			policy, wished, propensity, explored, online, roads, scores, propensities, costs, seconds,
			notification, class, campaign, road, skew_ms, bytes, platform, maker, os, app_version, country, carrier
		FROM receipts
		WHERE app = {app:String} AND has({devices:Array(String)}, device)
		ORDER BY accepted_at, delivery, device, received_at, rank, attempt
		LIMIT 1 BY delivery, device, attempt, stage`
	found, err := s.conn.Query(ctx, query, clickhouse.Named("app", app), clickhouse.Named("devices", orderOf(devices)))
	if err != nil {
		return failed("events of devices", err)
	}
	defer func() { _ = found.Close() }() // found.Err has the story
	for found.Next() {
		var row whole
		if err := found.ScanStruct(&row); err != nil {
			return failed("events of devices", err)
		}
		if err := tell(row.told(app)); err != nil {
			return err
		}
	}
	return failed("events of devices", found.Err())
}

// told is the row as it was before it was written.
func (r *whole) told(app string) push.Receipt {
	return push.Receipt{
		ID: r.EventID, App: app, Notification: r.Notification, Delivery: r.Delivery, Device: r.Device,
		Class: push.Class(r.Class), Campaign: r.Campaign, Provider: r.Provider, ProviderID: r.ProviderID,
		Attempt: int(r.Attempt), Road: int(r.Road), Stage: push.Stage(r.Stage), Source: push.Source(r.Source),
		Kind: r.Kind, Code: r.Code, Detail: r.Detail,
		At: r.At.UTC(), ReceivedAt: r.ReceivedAt.UTC(), Skew: time.Duration(r.Skew) * time.Millisecond,
		SinceAccepted: fromMillis(r.SinceMs), Took: fromMillis(r.TookMs),
		Why: r.Why, Decision: r.decision(), CostMicros: r.CostMicros, Bytes: int(r.Bytes),
		Platform: r.Platform, Maker: r.Maker, OS: r.OS, AppVersion: r.AppVersion, Country: r.Country, Carrier: r.Carrier,
	}
}

// fromMillis undoes millis.
func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
