package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-push/herald/client"
)

// lastFile remembers the notification that was sent last, for `herald explain`.
const lastFile = "last-notification"

// sendCmd sends one notification.
type sendCmd struct {
	remoteFlags
	To       string            `placeholder:"WHO" help:"device:ID, devices:ID,ID…, user:ID, users:ID,ID…, tag:TAG, or all; not needed with --filter."`
	Filter   string            `placeholder:"EXPR" help:"Only devices that this means, such as 'platform = \"ios\" and seen < 30d'; alone, or with a tag or all."`
	Title    string            `help:"Title."`
	Body     string            `help:"Text."`
	Values   map[string]string `name:"value" placeholder:"KEY=VALUE" help:"Data for the app; may be given again."`
	Class    string            `enum:"otp,transactional,chat,call,marketing" default:"transactional" help:"How urgent and how dear it may be: ${enum}."`
	ID       string            `name:"id" help:"An id of your own. The same id again sends nothing again."`
	TTL      time.Duration     `name:"ttl" help:"How long it is worth sending. Default: a day."`
	Collapse string            `help:"A later one with the same key replaces it on the device."`
	Via      string            `placeholder:"ROAD" xor:"roads" help:"Exactly this road and no other, such as xmpp."`
	Roads    []string          `placeholder:"ROAD" xor:"roads" help:"Roads to take in this order: provider names, or auto. Default: Herald decides."`
	Until    string            `enum:",accepted,delivered,displayed" default:"" help:"The proof that is enough. Default: delivered."`
	Wait     time.Duration     `help:"How long a road may stay without proof before the next is taken."`
	Parallel int               `help:"Roads to take at once to begin with."`
	Override []string          `sep:"none" placeholder:"ROAD.NAME=VALUE" help:"What is meant for one road alone, such as apns.push_type=background or fcm.android='{…}', or a whole object in JSON; may be given again."`
	At       time.Time         `name:"at" placeholder:"TIME" help:"The earliest time of sending, as in RFC 3339."`
	AtLocal  string            `name:"at-local" placeholder:"TIME" help:"Send when each device's own clock shows this, such as 2026-03-01T09:00."`
	Template string            `placeholder:"ID" help:"The template that says title, text and data, instead of --title and --body."`
	Vars     map[string]string `name:"var" placeholder:"NAME=VALUE" help:"A variable of the template; may be given again."`
	Rate     int               `placeholder:"N" help:"At most so many devices a minute. Default: as fast as it goes."`
	Quiet    string            `enum:",hold,drop,silent" default:"" help:"What becomes of it in quiet hours. Default: what the app says."`
	Check    bool              `help:"Tell what would happen, and send nothing."`
}

func (s *sendCmd) Run(ctx context.Context, std streams) error {
	to, err := s.audience()
	if err != nil {
		return err
	}
	n := client.Notification{
		ID: s.ID, To: to, Class: client.Class(s.Class), Title: s.Title, Body: s.Body, Data: s.Values,
		CollapseKey: s.Collapse, TTLSeconds: int(s.TTL / time.Second),
		DeliverAt: s.At, DeliverAtLocal: s.AtLocal, QuietHours: client.QuietAction(s.Quiet), RatePerMinute: s.Rate,
		Template: s.Template, Variables: values(s.Vars),
	}
	if n.Overrides, err = parseOverrides(s.Override); err != nil {
		return err
	}
	if s.Via != "" {
		s.Roads = []string{s.Via}
	}
	if len(s.Roads) > 0 || s.Until != "" || s.Wait > 0 || s.Parallel > 0 {
		n.Route = &client.Route{Roads: s.Roads, Until: client.Stage(s.Until), WaitSeconds: int(s.Wait / time.Second), Parallel: s.Parallel}
	}
	herald, err := s.open()
	if err != nil {
		return err
	}
	if s.Check {
		return s.check(ctx, herald, n, std)
	}
	p, err := herald.Send(ctx, n)
	if err != nil {
		return s.explainError(err)
	}
	// The id alone on standard output, for scripts; the hint is for people.
	fmt.Fprintln(std.out, p.ID)
	hint := "herald explain " + p.ID
	if device, ok := strings.CutPrefix(s.To, "device:"); ok {
		hint += " --device " + device
	}
	fmt.Fprintf(std.err, "%s; what came of it: %s\n", p.State, hint)
	s.remember(p.ID)
	return nil
}

func (s *sendCmd) audience() (client.Audience, error) {
	if s.To == "" && s.Filter == "" {
		return client.Audience{}, errors.New("--to or --filter: say whom, such as --to device:phone-1")
	}
	if s.To == "" {
		return client.Audience{Filter: s.Filter}, nil
	}
	to, err := parseAudience(s.To)
	to.Filter = s.Filter
	return to, err
}

// remember notes the id where `herald explain` without one looks. It is a
// convenience, so that a folder that is not there is no fault.
func (s *sendCmd) remember(id string) {
	if _, err := os.Stat(s.Data); err == nil {
		_ = writeFile(filepath.Join(s.Data, lastFile), []byte(id+"\n"))
	}
}

// check prints the plan for a notification.
func (s *sendCmd) check(ctx context.Context, herald *client.Client, n client.Notification, std streams) error {
	plan, err := herald.Validate(ctx, n)
	if err != nil {
		return s.explainError(err)
	}
	fmt.Fprintf(std.out, "%d devices\n", plan.Devices)
	for _, road := range plan.Roads {
		name := road.Provider
		if name == "" {
			name = "no road"
		}
		fmt.Fprintf(std.out, "  %-8s first for %d\n", name, road.Devices)
	}
	for _, p := range plan.Payloads {
		fmt.Fprintf(std.out, "  %-8s %s\n", p.Provider, weightInWords(p))
	}
	for _, d := range plan.Sample {
		fmt.Fprintf(std.out, "%s\n", d.Device)
		for i, step := range d.Roads {
			why := step.Why
			if step.Skipped != "" {
				why += "; passed over: " + step.Skipped
			}
			fmt.Fprintf(std.out, "  %d. %-8s %s\n", i+1, step.Provider, why)
		}
		for _, numbers := range weighed(d.Decision) {
			fmt.Fprintf(std.out, "     %s\n", numbers)
		}
	}
	return nil
}

// weightInWords tells what a notification weighs with a provider, and costs.
func weightInWords(p client.PlannedPayload) string {
	text := fmt.Sprintf("%d bytes", p.Bytes)
	if p.Limit > 0 {
		text += fmt.Sprintf(" of %d", p.Limit)
	}
	if p.Segments > 0 {
		text += fmt.Sprintf(", short messages: %d", p.Segments)
	}
	if p.CostMicros > 0 {
		text += fmt.Sprintf(", %.4f a device", float64(p.CostMicros)/1e6)
	}
	if len(p.Shortened) > 0 {
		text += ", shortened: " + strings.Join(p.Shortened, " and ")
	}
	if p.Fault != "" {
		text += "; " + p.Fault
	}
	return text
}

// parseAudience reads "device:d1" and its like.
func parseAudience(text string) (client.Audience, error) {
	kind, names, _ := strings.Cut(text, ":")
	list := strings.Split(names, ",")
	if kind != "all" && names == "" {
		return client.Audience{}, fmt.Errorf("--to %s: say whom, such as device:phone-1 or tag:beta", text)
	}
	switch kind {
	case "device":
		return client.Audience{Device: names}, nil
	case "devices":
		return client.Audience{Devices: list}, nil
	case "user":
		return client.Audience{User: names}, nil
	case "users":
		return client.Audience{Users: list}, nil
	case "tag":
		return client.Audience{Tag: names}, nil
	case "all":
		return client.Audience{All: true}, nil
	}
	return client.Audience{}, fmt.Errorf("--to %s: %q is none of device, devices, user, users, tag, all", text, kind)
}

// tokenCmd prints a device's token.
type tokenCmd struct {
	remoteFlags
	Device string `arg:"" help:"The device's id."`
}

func (t *tokenCmd) Run(ctx context.Context, std streams) error {
	herald, err := t.open()
	if err != nil {
		return err
	}
	token, err := herald.DeviceToken(ctx, t.Device)
	if err != nil {
		return t.explainError(err)
	}
	_, err = fmt.Fprintln(std.out, token.Token)
	return err
}
