package analytics

import (
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Lens is what a question of the dashboards is about: one app's notifications
// that the API accepted in [From, To), narrowed to a class, a provider and a
// group of devices. An empty word is any.
type Lens struct {
	App                      string
	From, To                 time.Time
	Class, Provider          string
	Platform, Maker, Country string

	Campaign string // for reports from receipts alone
}

// Before is the same lens, earlier.
func (l Lens) Before(by time.Duration) Lens {
	l.From, l.To = l.From.Add(-by), l.To.Add(-by)
	return l
}

// The conditions of a lens, for tables that have its columns by these names.
// They are constants and the words are bound, so that no word becomes SQL.
const (
	lensOwner  = `app = {app:String}`
	lensGroup  = lensOwner + ` AND ({class:String} = '' OR class = {class:String}) AND ({platform:String} = '' OR platform = {platform:String}) AND ({maker:String} = '' OR maker = {maker:String}) AND ({country:String} = '' OR country = {country:String})`
	lensRoad   = lensOwner + ` AND ({class:String} = '' OR class = {class:String}) AND ({provider:String} = '' OR provider = {provider:String})`
	lensWords  = lensGroup + ` AND ({provider:String} = '' OR provider = {provider:String})`
	lensPart   = lensWords + ` AND ({campaign:String} = '' OR campaign = {campaign:String})` // receipts alone have it
	lensAccept = `accepted_at >= {from:DateTime64(3, 'UTC')} AND accepted_at < {to:DateTime64(3, 'UTC')}`
	// Evidence comes after acceptance, and within [maxAge].
	lensArrival = `accepted_at >= {from:DateTime64(3, 'UTC')} - INTERVAL 35 DAY AND accepted_at < {to:DateTime64(3, 'UTC')}` +
		` AND received_at >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND received_at < {to:DateTime64(3, 'UTC')}`
	lensMinutes = `minute >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND minute < {to:DateTime64(3, 'UTC')}`
	lensHours   = `hour >= toStartOfHour({from:DateTime64(3, 'UTC')}) AND hour < {to:DateTime64(3, 'UTC')}`
)

// args binds the lens.
func (l Lens) args(more ...any) []any {
	return append([]any{
		clickhouse.Named("app", l.App), moment3("from", l.From), moment3("to", l.To),
		clickhouse.Named("class", l.Class), clickhouse.Named("provider", l.Provider),
		clickhouse.Named("platform", l.Platform), clickhouse.Named("maker", l.Maker), clickhouse.Named("country", l.Country),
		clickhouse.Named("campaign", l.Campaign),
	}, more...)
}

// every binds a step: whole minutes, at least one.
func every(step time.Duration) any {
	return clickhouse.Named("step", uint32(max(step.Round(time.Minute), time.Minute)/time.Second))
}
