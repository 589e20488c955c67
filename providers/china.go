package providers

import "time"

// InChina is a time as clocks in China show it. The vendors there count hours
// and days by it. It needs no time zone database: China has one zone, without
// summer time.
func InChina(t time.Time) time.Time { return t.In(time.FixedZone("CST", 8*60*60)) }

// UntilMidnightInChina is how long the quota of a day in China stays used up.
// It is never 0: at midnight it is the whole new day.
func UntilMidnightInChina(now time.Time) time.Duration {
	now = InChina(now)
	year, month, day := now.Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, now.Location()).Sub(now)
}
