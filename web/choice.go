package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Choice is how the roads were chosen, and what that was worth.
type Choice struct {
	Picks     []PickPoint
	Uplifts   []Uplift
	WhatIf    []WhatIf
	Last      []Pick
	Selection Selection
}

// PickPoint is how often a provider was the first road in one step.
type PickPoint struct {
	At       time.Time
	Provider string
	Picked   uint64
	Explored uint64 // of these, to learn
}

// Estimate is a share, or a difference of two, with the bounds that hold it with
// a probability of 95 %.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Uplift is the selector beside the static order on one class.
type Uplift struct {
	Class         string   `json:"class"`
	Auto          uint64   `json:"auto"` // first decisions
	AutoArrived   uint64   `json:"auto_arrived"`
	Static        uint64   `json:"static"`
	StaticArrived uint64   `json:"static_arrived"`
	Difference    Estimate `json:"difference"` // nothing where a side is empty
}

// WhatIf is what a policy would have brought, by the log.
type WhatIf struct {
	Policy         string   `json:"policy"` // logged, best, order or random
	Decisions      uint64   `json:"decisions"`
	Effective      float64  `json:"effective"` // decisions of the policy's own that the log is worth
	IPS, SNIPS, DR Estimate `json:"-"`
}

// Pick is one first decision in words.
type Pick struct {
	Notification, Device, Class, Provider, Policy, Why string
	Propensity                                         float64
	Chance, Cost, Seconds                              float64 // see [Candidate]
	Explored                                           bool
	At                                                 time.Time
}

// Selection is who chooses for an app.
type Selection struct {
	Kill  bool            `json:"kill"`
	Rules []SelectionRule `json:"rules"`
	Sides []Side          `json:"-"`
}

// SelectionRule is who chooses for one class; "" is every class.
type SelectionRule struct {
	Class string   `json:"class,omitempty"`
	Mode  string   `json:"mode"` // auto, static, shadow or ab
	Order []string `json:"order,omitempty"`
	Share float64  `json:"share,omitempty"` // of the devices, for ab
}

// Side is one side of an A/B as the workers see it now.
type Side struct {
	Class, Policy     string
	Attempts, Arrived int
	Guard             string // why the selector's side was given up; "" if it was not
}

// choicePage is the page of the selector.
func (s *site) choicePage() *insight {
	return &insight{
		name: "choice", path: "/choice",
		parts: []string{"headline", "filters", "shares", "uplift", "whatif", "guards", "rules", "picks"},
		read: func(ctx context.Context, r *reading) (content, error) {
			c, err := s.Numbers.Choice(ctx, r.lens(r.to))
			return &choiceRead{c}, err
		},
	}
}

// choiceRead is what the page of the selector has read.
type choiceRead struct{ Choice }

// Picked and Explored are the sums of the window.
func (c *choiceRead) Picked() (n uint64) {
	for _, p := range c.Picks {
		n += p.Picked
	}
	return n
}

// Explored is described at Picked.
func (c *choiceRead) Explored() (n uint64) {
	for _, p := range c.Picks {
		n += p.Explored
	}
	return n
}

// roadShare is a provider's share of the first roads.
type roadShare struct {
	Provider, Colour string
	N, Explored      uint64
}

// Shares are the providers' shares over the window, in the order of the chart.
func (c *choiceRead) Shares() []roadShare {
	var all []roadShare
	for _, p := range c.Picks {
		i := slices.IndexFunc(all, func(s roadShare) bool { return s.Provider == p.Provider })
		if i < 0 {
			i = len(all)
			all = append(all, roadShare{Provider: p.Provider, Colour: strings.TrimPrefix(roadColour(p.Provider, 0), "--")})
		}
		all[i].N += p.Picked
		all[i].Explored += p.Explored
	}
	slices.SortFunc(all, func(a, b roadShare) int { return byRoad(a.Provider, b.Provider) })
	return all
}

// Logged is what was done, as the log has it.
func (c *choiceRead) Logged() *WhatIf { return c.policy("logged") }

func (c *choiceRead) policy(name string) *WhatIf {
	for i := range c.WhatIf {
		if c.WhatIf[i].Policy == name && c.WhatIf[i].Decisions > 0 {
			return &c.WhatIf[i]
		}
	}
	return nil
}

// gain is what the selector brings beyond the static order.
type gain struct {
	Estimate
	How  string // "measured" or "estimated"
	Sure bool   // the bounds do not hold zero
}

// Gain is the uplift over all classes: measured where an A/B has both sides, or
// else estimated from the log; nil where neither can be had.
func (c *choiceRead) Gain() *gain {
	var weight, value, variance float64
	for _, u := range c.Uplifts { // classes weigh as many decisions as they had
		if u.Auto > 0 && u.Static > 0 {
			w := float64(u.Auto + u.Static)
			sigma := (u.Difference.High - u.Difference.Low) / (2 * 1.96)
			weight, value, variance = weight+w, value+w*u.Difference.Value, variance+w*w*sigma*sigma
		}
	}
	if weight > 0 {
		return newGain(value/weight, math.Sqrt(variance)/weight, "measured")
	}
	logged, order := c.policy("logged"), c.policy("order")
	if logged == nil || order == nil {
		return nil
	}
	a, b := (logged.DR.High-logged.DR.Low)/(2*1.96), (order.DR.High-order.DR.Low)/(2*1.96)
	return newGain(logged.DR.Value-order.DR.Value, math.Hypot(a, b), "estimated")
}

func newGain(value, sigma float64, how string) *gain {
	e := Estimate{value, value - 1.96*sigma, value + 1.96*sigma}
	return &gain{e, how, e.Low > 0 || e.High < 0}
}

// Points writes a difference of shares in percentage points.
func (e Estimate) Points() string { return signed(100 * e.Value) }

// PointBounds writes its bounds.
func (e Estimate) PointBounds() string {
	return signed(100*e.Low) + " to " + signed(100*e.High)
}

// Share writes a share in percent, and Bounds its bounds.
func (e Estimate) Share() string { return fmt.Sprintf("%.1f %%", 100*e.Value) }

// Bounds is described at Share.
func (e Estimate) Bounds() string {
	return fmt.Sprintf("%.1f to %.1f", 100*max(0, e.Low), 100*min(1, e.High))
}

// Means says what a policy is.
func (w WhatIf) Means() string {
	return map[string]string{
		"logged": "what was done", "best": "always the highest score", "order": "the static order", "random": "any road, by lot",
	}[w.Policy]
}

// Rich reports whether the log is worth enough decisions to trust the estimate.
func (w WhatIf) Rich() bool { return w.Effective >= 100 }

// classRule is one row of the form that says who chooses.
type classRule struct {
	Class, Title, Mode, Order string
	Share                     string // in percent
}

var classNames = [...]string{"otp", "transactional", "chat", "call", "marketing"}

// Rules lists what counts for each class, and first for all that have no rule of
// their own.
func (c *choiceRead) Rules() []classRule {
	rows := []classRule{{Class: "", Title: "Every class", Mode: "auto"}}
	for _, name := range classNames {
		rows = append(rows, classRule{Class: name, Title: name})
	}
	for i := range rows {
		for _, r := range c.Selection.Rules {
			if r.Class == rows[i].Class {
				rows[i].Mode, rows[i].Order = r.Mode, strings.Join(r.Order, ", ")
				if r.Share > 0 {
					rows[i].Share = strconv.FormatFloat(100*r.Share, 'g', 4, 64)
				}
				break
			}
		}
	}
	return rows
}

// Guarded lists the sides that were given up.
func (c *choiceRead) Guarded() []Side {
	return slices.DeleteFunc(slices.Clone(c.Selection.Sides), func(s Side) bool { return s.Guard == "" })
}

func (c *choiceRead) charts(r *reading) map[string]chart {
	shares := r.over("shares", "first attempts")
	cells := map[string]map[int64]float64{}
	for _, p := range c.Picks {
		if cells[p.Provider] == nil {
			cells[p.Provider] = map[int64]float64{}
		}
		cells[p.Provider][p.At.Unix()] += float64(p.Picked)
	}
	shares.Series = r.spread(cells, roadColour)
	return map[string]chart{"shares": shares}
}

func (c *choiceRead) tables(*reading) map[string]table {
	shares := table{Heads: []string{"at", "provider", "first_attempts", "explored"}}
	for _, p := range c.Picks {
		shares.Rows = append(shares.Rows, []any{p.At, p.Provider, p.Picked, p.Explored})
	}
	uplift := table{Heads: []string{"class", "auto", "auto_arrived", "static", "static_arrived", "difference", "low", "high"}}
	for _, u := range c.Uplifts {
		uplift.Rows = append(uplift.Rows, []any{u.Class, u.Auto, u.AutoArrived, u.Static, u.StaticArrived, u.Difference.Value, u.Difference.Low, u.Difference.High})
	}
	whatIf := table{Heads: []string{"policy", "decisions", "effective", "snips", "snips_low", "snips_high", "dr", "dr_low", "dr_high", "ips", "ips_low", "ips_high"}}
	for _, w := range c.WhatIf {
		whatIf.Rows = append(whatIf.Rows, []any{
			w.Policy, w.Decisions, w.Effective, w.SNIPS.Value, w.SNIPS.Low, w.SNIPS.High, w.DR.Value, w.DR.Low, w.DR.High, w.IPS.Value, w.IPS.Low, w.IPS.High,
		})
	}
	picks := table{Heads: []string{"at", "notification", "device", "class", "provider", "policy", "propensity", "explored", "chance", "seconds", "cost", "why"}}
	for _, p := range c.Last {
		picks.Rows = append(picks.Rows, []any{p.At, p.Notification, p.Device, p.Class, p.Provider, p.Policy, p.Propensity, p.Explored, p.Chance, p.Seconds, p.Cost, p.Why})
	}
	return map[string]table{"shares": shares, "uplift": uplift, "whatif": whatIf, "picks": picks}
}

func (c *choiceRead) numbers(r *reading) any {
	type estimates struct {
		WhatIf
		IPS   Estimate `json:"ips"`
		SNIPS Estimate `json:"snips"`
		DR    Estimate `json:"dr"`
	}
	whatIf := []estimates{}
	for _, w := range c.WhatIf {
		whatIf = append(whatIf, estimates{w, w.IPS, w.SNIPS, w.DR})
	}
	return map[string]any{
		"app": r.app, "window": r.window.Name, "from": r.from, "to": r.to, "picked": c.Picked(), "explored": c.Explored(),
		"uplifts": c.Uplifts, "what_if": whatIf, "selection": c.Selection, "faults": r.faults,
	}
}

// sayWhoChooses serves POST /choice: an admin says who chooses for each class, or
// takes the choice from the selector at once.
func (s *site) sayWhoChooses(w http.ResponseWriter, r *http.Request, sess *session) error {
	page := s.choicePage()
	v, err := s.glimpse(r, sess, page)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Admin); err != nil {
		return err
	}
	path := "/v1/apps/" + url.PathEscape(v.app) + "/selection"
	var now Selection
	if err := s.ask(r, sess, v.app, http.MethodGet, path, nil, &now); err != nil {
		return err
	}
	switch r.PostFormValue("do") {
	case "kill", "revive":
		now.Kill = r.PostFormValue("do") == "kill"
	default:
		if now.Rules, err = rulesOf(r.PostForm); err != nil {
			v.Notice = "Nothing was changed: " + err.Error() + "."
			s.render(w, r, sess, http.StatusUnprocessableEntity, page.name, v)
			return nil
		}
	}
	err = s.act(r, sess, v.app, http.MethodPut, path, now)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		v.Notice = "Nothing was changed: " + refused.words + "."
		s.render(w, r, sess, http.StatusUnprocessableEntity, page.name, v)
		return nil
	case err != nil:
		return err
	}
	s.board.forget(page)
	http.Redirect(w, r, v.Here(), http.StatusSeeOther)
	return nil
}

// rulesOf reads the form: rules of one class stand before the one of every class.
func rulesOf(form url.Values) ([]SelectionRule, error) {
	rules := []SelectionRule{}
	for _, class := range append(slices.Clone(classNames[:]), "") {
		mode := form.Get("mode-" + class)
		if mode == "" || class == "" && mode == "auto" {
			continue
		}
		rule := SelectionRule{Class: class, Mode: mode}
		for road := range strings.SplitSeq(form.Get("order-"+class), ",") {
			if road = strings.TrimSpace(road); road != "" {
				rule.Order = append(rule.Order, road)
			}
		}
		if mode == "ab" {
			percent, err := strconv.ParseFloat(strings.TrimSpace(form.Get("share-"+class)), 64)
			if err != nil || percent <= 0 || percent >= 100 {
				return nil, fmt.Errorf("share of %s must be between 0 and 100 percent of the devices", ruleName(class))
			}
			rule.Share = percent / 100
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func ruleName(class string) string {
	if class == "" {
		return "every class"
	}
	return class
}

// Share is the side's share of proven attempts.
func (s Side) Share() string { return percent(uint64(max(0, s.Arrived)), uint64(max(0, s.Attempts))) }

// Tried writes how many attempts the side had.
func (s Side) Tried() string { return count(uint64(max(0, s.Attempts))) }
