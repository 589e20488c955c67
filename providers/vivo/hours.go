package vivo

import (
	"time"

	"github.com/herald-push/herald/providers"
)

// opens is the hour in China from which the service takes operations messages;
// limits.json has until when. The app's lane keeps those hours, for the class
// alone; this is for a service whose clock says otherwise.
const opens = 7

// untilNextOpening is the time to seven o'clock in China.
func untilNextOpening(now time.Time) time.Duration {
	now = providers.InChina(now)
	year, month, day := now.Date()
	if now.Hour() >= opens {
		day++
	}
	return time.Date(year, month, day, opens, 0, 0, 0, now.Location()).Sub(now)
}
