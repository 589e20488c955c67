package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

type lanesCmd struct {
	List lanesListCmd `cmd:"" default:"withargs" help:"Show the lanes (the default)."`
	Off  lanesOffCmd  `cmd:"" help:"Keep a provider from being used: deliveries take their next road, or wait."`
	On   lanesOnCmd   `cmd:"" help:"Use a provider again."`
}

type lanesListCmd struct {
	remoteFlags
	formatFlag
}

func (l *lanesListCmd) Run(ctx context.Context, std streams) error {
	herald, err := l.open()
	if err != nil {
		return err
	}
	lanes, err := herald.Lanes(ctx)
	if err != nil {
		return l.explainError(err)
	}
	var rows [][]string
	for _, lane := range lanes {
		rows = append(rows, laneRow(lane, time.Now()))
	}
	heads := []string{"PROVIDER", "STATE", "IN FLIGHT", "WAITING", "PER SECOND", "BOUND", "QUOTAS", "WHY"}
	return l.print(std.out, lanes, heads, rows)
}

func laneRow(l client.Lane, now time.Time) []string {
	state, bound := l.State, "-"
	if l.Workers > 1 && l.Closed > 0 && l.Closed < l.Workers {
		state = fmt.Sprintf("%s on %d of %d", state, l.Closed, l.Workers)
	}
	if l.Bound > 0 {
		bound = fmt.Sprintf("%.0f/s", l.Bound)
	}
	var quotas []string
	for _, q := range l.Quotas {
		quotas = append(quotas, quotaInWords(q, now))
	}
	whys := notEmpty(l.Why)
	if !l.Until.IsZero() {
		whys[0] += fmt.Sprintf(" (until %s)", l.Until.Local().Format(time.TimeOnly))
	}
	whys = append(whys, notEmpty(l.Note)...)
	for _, c := range l.Classes {
		whys = append(whys, fmt.Sprintf("%s: %s (until %s)", c.Class, c.Why, c.Until.Local().Format(time.DateTime)))
	}
	return []string{
		l.Provider, state, fmt.Sprintf("%d of %d", l.InFlight, l.Limit), fmt.Sprint(l.Waiting),
		fmt.Sprintf("%.0f", l.PerSecond), bound, orDash(strings.Join(quotas, "; ")), orDash(strings.Join(whys, "; ")),
	}
}

func quotaInWords(q client.QuotaUse, now time.Time) string {
	text := fmt.Sprintf("%s %d", q.Name, q.Used)
	switch {
	case q.PerDevice:
		text = fmt.Sprintf("%s %d each", q.Name, q.Limit)
		if q.Refused > 0 {
			text += fmt.Sprintf(", %d refused", q.Refused)
		}
	case q.Limit > 0:
		text += fmt.Sprintf(" of %d", q.Limit)
	}
	switch {
	case q.Limit > 0 && q.Used >= q.Limit && !q.PerDevice:
		text += ", used up until " + q.RenewsAt.Local().Format(time.DateTime)
	case q.EndsAt.After(now):
		text += ", ends at " + q.EndsAt.Local().Format("15:04") + " at this pace"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type lanesOffCmd struct {
	remoteFlags
	Provider string `arg:"" help:"The provider, such as apns."`
	Reason   string `required:"" help:"Why, for others to read."`
}

func (l *lanesOffCmd) Run(ctx context.Context, std streams) error {
	herald, err := l.open()
	if err != nil {
		return err
	}
	lane, err := herald.SwitchLaneOff(ctx, l.Provider, l.Reason)
	if err != nil {
		return l.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%s is off for app %s within two seconds: %s\n", lane.Provider, lane.App, lane.Why)
	return err
}

type lanesOnCmd struct {
	remoteFlags
	Provider string `arg:"" help:"The provider, such as apns."`
}

func (l *lanesOnCmd) Run(ctx context.Context, std streams) error {
	herald, err := l.open()
	if err != nil {
		return err
	}
	lane, err := herald.SwitchLaneOn(ctx, l.Provider)
	if err != nil {
		return l.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%s is on for app %s within two seconds\n", lane.Provider, lane.App)
	return err
}
