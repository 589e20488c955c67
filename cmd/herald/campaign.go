package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/herald-push/herald/client"
)

// campaignCmd looks after a notification to many.
type campaignCmd struct {
	Watch  campaignWatchCmd  `cmd:"" help:"Show how far a notification is, until it is done."`
	Pause  campaignPauseCmd  `cmd:"" help:"Begin nothing more of it for now."`
	Resume campaignResumeCmd `cmd:"" help:"Go on where it was paused."`
	Cancel campaignCancelCmd `cmd:"" help:"Take back what has not been sent."`
}

// campaignFlags name a notification of a running Herald.
type campaignFlags struct {
	remoteFlags
	Notification string `arg:"" help:"The notification's id."`
}

// change makes one request about the notification and prints the state after it.
func (c campaignFlags) change(ctx context.Context, std streams, ask func(*client.Client, context.Context, string) (client.Progress, error)) error {
	herald, err := c.open()
	if err != nil {
		return err
	}
	p, err := ask(herald, ctx, c.Notification)
	if err != nil {
		return c.explainError(err)
	}
	_, err = fmt.Fprintln(std.out, statusLine(p))
	return err
}

type campaignPauseCmd struct{ campaignFlags }

func (c *campaignPauseCmd) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, (*client.Client).Pause)
}

type campaignResumeCmd struct{ campaignFlags }

func (c *campaignResumeCmd) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, (*client.Client).Resume)
}

type campaignCancelCmd struct{ campaignFlags }

func (c *campaignCancelCmd) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, (*client.Client).Cancel)
}

type campaignWatchCmd struct {
	campaignFlags
	Every time.Duration `default:"500ms" help:"How often to ask."`
}

// Run asks until the notification is done or taken back. Every look is a line
// of its own where nobody watches a terminal.
func (c *campaignWatchCmd) Run(ctx context.Context, std streams) error {
	if c.Every <= 0 {
		return fmt.Errorf("--every: %v is not positive", c.Every)
	}
	herald, err := c.open()
	if err != nil {
		return err
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	show := newWatch(std.err, c.Notification)
	for {
		p, err := herald.Progress(ctx, c.Notification)
		if err != nil {
			return c.explainError(err)
		}
		show(p)
		if p.State == client.Done || p.State == client.TakenBack {
			_, err := fmt.Fprintln(std.out, statusLine(p))
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// newWatch returns what shows progress: a bar on a terminal, else a line for
// each change.
func newWatch(w io.Writer, id string) func(client.Progress) {
	if !isTerminal(w) {
		last := ""
		return func(p client.Progress) {
			if line := statusLine(p); line != last {
				last = line
				fmt.Fprintln(w, line)
			}
		}
	}
	bar := progressbar.NewOptions(1, progressbar.OptionSetWriter(w), progressbar.OptionFullWidth(), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("devices"), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetDescription(id), progressbar.OptionClearOnFinish())
	return func(p client.Progress) {
		bar.ChangeMax(max(1, p.Audience, p.Counts.Deliveries))
		bar.Describe(id + " " + string(p.State))
		_ = bar.Set(begun(p.Counts)) // it writes to a terminal
		if p.State == client.Done || p.State == client.TakenBack {
			_ = bar.Finish()
		}
	}
}

// begun is how many deliveries are no longer waiting for their first attempt.
func begun(c client.Counts) int {
	return c.Accepted + c.Failed + c.Unknown + c.Expired + c.Cancelled + c.Suppressed
}

// statusLine is a notification's progress in one line.
func statusLine(p client.Progress) string {
	of := max(p.Audience, p.Counts.Deliveries)
	share := 0
	if of > 0 {
		share = 100 * begun(p.Counts) / of
	}
	return fmt.Sprintf("%s %s: %d of %d (%d %%), %s", p.ID, p.State, begun(p.Counts), of, share, countsInWords(p.Counts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
