package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// scheduleCmd looks after what is sent again and again.
type scheduleCmd struct {
	Create scheduleCreateCmd `cmd:"" help:"Send a notification again and again, or change how."`
	List   scheduleListCmd   `cmd:"" help:"List the schedules with the times they fire at next."`
	Show   scheduleShowCmd   `cmd:"" help:"Show one schedule."`
	Delete scheduleDeleteCmd `cmd:"" help:"End a schedule. What it has sent stays sent."`
}

type scheduleCreateCmd struct {
	remoteFlags
	ID       string `arg:"" help:"The schedule's id."`
	Cron     string `required:"" placeholder:"LINE" help:"When: minute, hour, day of month, month, day of week, such as '0 9 * * 1-5'; or @daily and its like."`
	Timezone string `placeholder:"ZONE" help:"By which clock, such as Europe/Berlin. Default: the app's, or UTC."`
	JSON     string `name:"notification" required:"" placeholder:"JSON" help:"What: a notification as POST /v1/notifications takes it, without id and times."`
}

func (s *scheduleCreateCmd) Run(ctx context.Context, std streams) error {
	in := client.Schedule{ID: s.ID, Cron: s.Cron, Timezone: s.Timezone}
	if err := json.Unmarshal([]byte(s.JSON), &in.Notification); err != nil {
		return fmt.Errorf("--notification: %w", err)
	}
	herald, err := s.open()
	if err != nil {
		return err
	}
	made, err := herald.PutSchedule(ctx, in)
	if err != nil {
		return s.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "%s fires at\n%s\n", made.ID, firings(made, "\n"))
	return err
}

// firings are the next times of a schedule by its own clock.
func firings(s client.Schedule, between string) string {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		zone = time.UTC
	}
	times := make([]string, len(s.Next))
	for i, t := range s.Next {
		times[i] = t.In(zone).Format("2006-01-02 15:04 MST")
	}
	return strings.Join(times, between)
}

type scheduleListCmd struct {
	remoteFlags
	formatFlag
}

func (s *scheduleListCmd) Run(ctx context.Context, std streams) error {
	herald, err := s.open()
	if err != nil {
		return err
	}
	var all []client.Schedule
	for after := ""; ; {
		page, err := herald.Schedules(ctx, after, 100)
		if err != nil {
			return s.explainError(err)
		}
		all = append(all, page.Schedules...)
		if after = page.Next; after == "" {
			break
		}
	}
	rows := make([][]string, len(all))
	for i, sc := range all {
		sc.Next = sc.Next[:min(2, len(sc.Next))]
		rows[i] = []string{sc.ID, sc.Cron, sc.Timezone, firings(sc, ", "), day(sc.LastAt), sc.Notification.Title}
	}
	return s.print(std.out, all, []string{"SCHEDULE", "CRON", "ZONE", "NEXT", "LAST (UTC)", "TITLE"}, rows)
}

type scheduleShowCmd struct {
	remoteFlags
	ID string `arg:"" help:"The schedule's id."`
}

func (s *scheduleShowCmd) Run(ctx context.Context, std streams) error {
	herald, err := s.open()
	if err != nil {
		return err
	}
	sc, err := herald.Schedule(ctx, s.ID)
	if err != nil {
		return s.explainError(err)
	}
	return formatFlag{Format: "json"}.print(std.out, sc, nil, nil)
}

type scheduleDeleteCmd struct {
	remoteFlags
	ID string `arg:"" help:"The schedule's id."`
}

func (s *scheduleDeleteCmd) Run(ctx context.Context, std streams) error {
	herald, err := s.open()
	if err != nil {
		return err
	}
	if err := herald.DeleteSchedule(ctx, s.ID); err != nil {
		return s.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "schedule %s has ended\n", s.ID)
	return err
}
