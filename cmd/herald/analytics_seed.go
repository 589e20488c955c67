package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/herald-push/herald/analytics"
)

// seedCmd fills the record with invented events, to see pages full and queries
// under load.
type seedCmd struct {
	placeFlags
	App     string    `default:"seed" help:"The app that the events are of. One that nothing else is of is best."`
	Events  int       `default:"1000000" help:"How many events, up to 1,000,000,000."`
	Days    int       `default:"30" help:"Over how many days."`
	Until   time.Time `placeholder:"TIME" help:"The newest notification, RFC 3339. Default: the last full hour. Say the same to go on with an interrupted seed."`
	Seed    uint64    `default:"1" help:"The same number invents the same events."`
	Writers int       `default:"2" help:"Batches under way at a time."`
}

func (s *seedCmd) Run(ctx context.Context, std streams) error {
	record, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	config := analytics.DefaultSeedConfig(s.App, s.Events, time.Now())
	config.Days, config.Seed = s.Days, s.Seed
	if !s.Until.IsZero() {
		config.Until = s.Until.UTC()
	}
	if err := config.Validate(); err != nil {
		return err
	}
	fmt.Fprintf(std.err, "%d events of app %s over %d days until %s; the same command goes on if it is interrupted, with --until %[4]s\n",
		s.Events, s.App, s.Days, config.Until.Format(time.RFC3339))
	tell := func(n int) { fmt.Fprintf(std.err, "%d of %d events\n", n, s.Events) }
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bar := progressbar.NewOptions(s.Events, progressbar.OptionSetWriter(std.err), progressbar.OptionFullWidth(),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		tell = func(n int) { _ = bar.Set(min(n, s.Events)) } // a bar that cannot be drawn is no loss
	} else {
		tell = seldom(tell)
	}
	began, events, before := time.Now(), 0, -1
	err = record.Seed(ctx, config, s.Writers, func(n int) {
		if before < 0 {
			before = n
		}
		events = n
		tell(n)
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Fprintf(std.out, "%d events are in, %d of them new: %.0f a second\n", events, events-before, float64(events-before)/took.Seconds())
	return nil
}

// seldom lets through at most one call in two seconds.
func seldom(tell func(int)) func(int) {
	var last time.Time
	return func(n int) {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			tell(n)
		}
	}
}
