package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// explainCmd tells the story of a notification.
type explainCmd struct {
	remoteFlags
	Notification string        `arg:"" optional:"" help:"The notification's id. Default: the one that herald send sent last."`
	Device       string        `help:"Only this device."`
	Limit        int           `default:"20" help:"How many deliveries to tell of."`
	Wait         time.Duration `default:"3s" help:"How long to wait for a first trace: the record is a moment behind."`
	JSON         bool          `name:"json" help:"Print JSON."`
}

func (e *explainCmd) Run(ctx context.Context, std streams) error {
	if e.Notification == "" {
		last, err := os.ReadFile(filepath.Join(e.Data, lastFile))
		if err != nil {
			return errors.New("which notification? give its id; `herald send` prints it")
		}
		e.Notification = strings.TrimSpace(string(last))
	}
	herald, err := e.open()
	if err != nil {
		return err
	}
	progress, err := herald.Progress(ctx, e.Notification)
	if err != nil {
		return e.explainError(err)
	}
	page, err := e.traces(ctx, herald)
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%s is %s with %s, but its story cannot be read: that Herald has no ClickHouse, or it is away; "+
			"nothing is lost, events wait in the spool", progress.ID, progress.State, countsInWords(progress.Counts))
	}
	if err != nil {
		return e.explainError(err)
	}
	if e.JSON {
		return formatFlag{Format: "json"}.print(std.out, map[string]any{"progress": progress, "deliveries": page.Deliveries}, nil, nil)
	}
	tell(std.out, progress, page)
	return nil
}

// traces asks until there is something to tell: receipts reach the record
// within a second of being made.
func (e *explainCmd) traces(ctx context.Context, herald *client.Client) (client.Page, error) {
	patience := time.Now().Add(e.Wait)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		page, err := herald.Deliveries(ctx, e.Notification, client.Query{Device: e.Device, Limit: e.Limit})
		if err != nil || len(page.Deliveries) > 0 || time.Now().After(patience) {
			return page, err
		}
		select {
		case <-ctx.Done():
			return page, ctx.Err()
		case <-tick.C:
		}
	}
}

// tell prints the story.
func tell(w io.Writer, p client.Progress, page client.Page) {
	fmt.Fprintf(w, "%s  %s, %s, accepted %s\n", p.ID, p.Class, p.State, p.AcceptedAt.Local().Format(time.DateTime))
	fmt.Fprintf(w, "%d deliveries: %s\n", p.Counts.Deliveries, countsInWords(p.Counts))
	fmt.Fprintf(w, "each once: %s\n", outcomesInWords(p.Outcomes))
	for _, t := range page.Deliveries {
		fmt.Fprintf(w, "\n%s  %s\n", t.Device, cmp.Or(string(t.Stage), "nothing tried yet"))
		for _, line := range story(t, p.AcceptedAt) {
			fmt.Fprintf(w, "  %9s  %s\n", line.after.Round(time.Millisecond), line.text)
		}
	}
	if len(page.Deliveries) == 0 {
		fmt.Fprintln(w, "\nnothing is recorded yet; ask again in a moment")
	}
	if page.Next != "" {
		fmt.Fprintln(w, "\n… and more; ask for one with --device, or for more with --limit")
	}
}

// line is one event of a story.
type line struct {
	after time.Duration // since the API accepted the notification
	text  string
}

// story puts attempts and proofs of a delivery in the order of their times.
func story(t client.Trace, accepted time.Time) []line {
	var lines []line
	for _, a := range t.Attempts {
		text := fmt.Sprintf("attempt %d by %s: %s", a.Number, a.Provider, a.Stage)
		if detail := strings.Join(notEmpty(a.Kind, a.Code, a.Detail), ", "); detail != "" {
			text += " (" + detail + ")"
		}
		text += fmt.Sprintf(" in %.0f ms\n  %9s  because %s", a.TookMillis, "", a.Why)
		for _, numbers := range weighed(a.Decision) {
			text += fmt.Sprintf("\n  %9s  %s", "", numbers)
		}
		lines = append(lines, line{a.At.Sub(accepted), text})
	}
	for _, p := range t.Receipts {
		text := string(p.Stage) + ", says " + sourceInWords(p.Source)
		if p.Provider != "" {
			text += " (" + p.Provider + ")"
		}
		if p.Detail != "" {
			text += ": " + p.Detail
		}
		lines = append(lines, line{time.Duration(p.AfterMs * float64(time.Millisecond)), text})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.after, b.after) })
	return lines
}

// weighed is a decision in numbers, a line for who decided and one for each road.
func weighed(d *client.Decision) []string {
	if d == nil || len(d.Roads) == 0 {
		return nil
	}
	head := fmt.Sprintf("decided by %s, taken with %.3g %%", d.Policy, 100*d.Propensity)
	if d.Explored {
		head += ", explored"
	}
	if d.Wished != "" {
		head += ", the selector would have taken " + d.Wished
	}
	lines := []string{head}
	for _, r := range d.Roads {
		half := "times not known yet"
		if r.Seconds > 0 {
			half = fmt.Sprintf("half within %.2g s", r.Seconds)
		}
		lines = append(lines, fmt.Sprintf("  %-8s chance %.2f, %s, cost %.2f, score %.2f, propensity %.3g %%",
			r.Provider, r.Chance, half, r.Cost, r.Score, 100*r.Propensity))
	}
	return lines
}

// sourceInWords names who gave a piece of evidence.
func sourceInWords(source string) string {
	switch source {
	case "vendor_reply", "vendor_callback":
		return "the vendor"
	case "device_ack":
		return "the device"
	case "app_report":
		return "the app"
	case "herald":
		return "Herald"
	default:
		return source
	}
}

func notEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// tally is a number of deliveries with its word.
type tally struct {
	count int
	what  string
}

func countsInWords(c client.Counts) string {
	return inWords(", ",
		tally{c.Accepted, "accepted"},
		tally{c.Delivered, "delivered"},
		tally{c.Displayed, "displayed"},
		tally{c.Clicked, "clicked"},
		tally{c.Failed, "failed"},
		tally{c.Unknown, "unknown"},
		tally{c.Expired, "expired"},
		tally{c.Cancelled, "cancelled"},
		tally{c.Suppressed, "suppressed"},
		tally{c.PaidTwice, "paid twice"},
	)
}

// outcomesInWords is a sum of which every delivery is in one part.
func outcomesInWords(o client.Outcomes) string {
	return inWords(" + ",
		tally{o.Delivered, "delivered"},
		tally{o.Failed, "failed"},
		tally{o.Expired, "expired"},
		tally{o.Cancelled, "cancelled"},
		tally{o.Suppressed, "suppressed"},
		tally{o.Waiting, "waiting"},
	)
}

// inWords leaves out what is nothing.
func inWords(between string, tallies ...tally) string {
	var words []string
	for _, t := range tallies {
		if t.count > 0 {
			words = append(words, fmt.Sprintf("%d %s", t.count, t.what))
		}
	}
	if len(words) == 0 {
		return "nothing yet"
	}
	return strings.Join(words, between)
}
