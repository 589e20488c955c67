package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/client"
)

// selectorModeCmd shows or says who chooses the roads.
type selectorModeCmd struct {
	remoteFlags
	App   string   `default:"demo" help:"The app."`
	Mode  string   `arg:"" optional:"" help:"auto, static, shadow, ab; or kill and revive, for every class at once. Without one: show what counts."`
	Class string   `help:"The class that it is for. Default: every class that has no rule of its own."`
	Order []string `placeholder:"ROAD" help:"The fixed order, such as live,apns,fcm."`
	Share float64  `help:"For ab: the part of the devices that the selector decides for."`
}

func (m *selectorModeCmd) Run(ctx context.Context, std streams) error {
	herald, err := m.open()
	if err != nil {
		return err
	}
	s, err := herald.Selection(ctx, m.App)
	if err != nil {
		return m.explainError(err)
	}
	if m.Mode != "" {
		m.change(&s)
		if s, err = herald.SetSelection(ctx, m.App, s); err != nil {
			return m.explainError(err)
		}
	}
	if s.Kill {
		fmt.Fprintln(std.out, "the selector is switched off: a fixed order counts for every class")
	}
	var rows [][]string
	for _, r := range s.Rules {
		class := string(r.Class)
		if class == "" {
			class = "every other"
		}
		rows = append(rows, []string{class, r.Mode, strings.Join(r.Order, ","), strconv.FormatFloat(r.Share, 'g', 3, 64)})
	}
	if len(rows) == 0 && !s.Kill {
		fmt.Fprintln(std.out, "the selector chooses for every class")
	}
	if len(rows) > 0 {
		if err := (formatFlag{}).print(std.out, nil, []string{"CLASS", "MODE", "ORDER", "SHARE"}, rows); err != nil {
			return err
		}
	}
	return m.sides(std, s.Sides)
}

// change makes the rule of the class, or replaces it. Rules of one class stand
// before the one of every class.
func (m *selectorModeCmd) change(s *client.Selection) {
	switch m.Mode {
	case "kill":
		s.Kill = true
	case "revive":
		s.Kill = false
	default:
		rule := client.SelectionRule{Class: client.Class(m.Class), Mode: m.Mode, Order: m.Order, Share: m.Share}
		s.Rules = slices.DeleteFunc(s.Rules, func(r client.SelectionRule) bool { return r.Class == rule.Class })
		if rule.Class == "" {
			s.Rules = append(s.Rules, rule)
		} else {
			s.Rules = slices.Insert(s.Rules, 0, rule)
		}
	}
}

func (m *selectorModeCmd) sides(std streams, sides []client.SelectionSide) error {
	if len(sides) == 0 {
		return nil
	}
	var rows [][]string
	for _, side := range sides {
		rows = append(rows, []string{
			string(side.Class), side.Policy, strconv.Itoa(side.Attempts),
			fmt.Sprintf("%.1f %%", 100*float64(side.Arrived)/float64(max(1, side.Attempts))), orDash(side.Guard),
		})
	}
	fmt.Fprintln(std.out)
	return formatFlag{}.print(std.out, nil, []string{"CLASS", "CHOSEN BY", "ATTEMPTS", "PROVEN", "GIVEN UP"}, rows)
}
