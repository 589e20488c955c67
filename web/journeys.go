package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Journeys is which ways the deliveries took, and what that cost.
type Journeys struct {
	Ways  []Way
	Spent []Spent
	Late  []Late
	Texts []Texts
}

// Way is one order of roads, and where it ended.
type Way struct {
	Roads      []string `json:"roads"` // by attempt
	End        string   `json:"end"`   // delivered, accepted (no proof), unknown, or a stage off the ladder
	By         string   `json:"by"`    // the road whose proof came first
	Deliveries uint64   `json:"deliveries"`
}

// Spent is where the waiting time of one provider's proven deliveries went: mean
// and 95th percentile of each part, in ms.
type Spent struct {
	Provider   string    `json:"provider"`
	Deliveries uint64    `json:"deliveries"`
	Mean       []float64 `json:"mean_ms"` // until the first attempt; on other roads; request; to the device
	P95        []float64 `json:"p95_ms"`
}

// Late counts one provider's proofs that came when the next road was taken.
type Late struct {
	Provider   string  `json:"provider"`
	Deliveries uint64  `json:"deliveries"`
	P50        float64 `json:"p50_ms"` // too late by
	P95        float64 `json:"p95_ms"`
	CostMicros int64   `json:"cost_micros"`
}

// Texts is what text messages cost in one class, and what they would have.
type Texts struct {
	Class       string `json:"class"`
	Texted      uint64 `json:"texted"`
	Arrived     uint64 `json:"arrived"`
	CostMicros  int64  `json:"cost_micros"`
	Spared      uint64 `json:"spared"`
	SavedMicros int64  `json:"saved_micros"`
}

// journeysPage is the page of the ways.
func (s *site) journeysPage() *insight {
	return &insight{
		name: "journeys", path: "/journeys",
		parts: []string{"headline", "filters", "ways", "spent", "late", "texts"},
		read: func(ctx context.Context, r *reading) (content, error) {
			j, err := s.Numbers.Journeys(ctx, r.lens(r.to))
			return &journeysRead{j}, err
		},
	}
}

// journeysRead is what the page of the ways has read.
type journeysRead struct{ Journeys }

// Deliveries is how many there were, Fell how many took a second road or more,
// and Rescued how many of these were proven delivered.
func (j *journeysRead) Deliveries() (n uint64) { return j.count(func(Way) bool { return true }) }

// Fell is described at Deliveries.
func (j *journeysRead) Fell() uint64 {
	return j.count(func(w Way) bool { return len(w.Roads) > 1 })
}

// Rescued is described at Deliveries.
func (j *journeysRead) Rescued() uint64 {
	return j.count(func(w Way) bool { return len(w.Roads) > 1 && w.By != "" && w.By != w.Roads[0] })
}

func (j *journeysRead) count(fits func(Way) bool) (n uint64) {
	for _, w := range j.Ways {
		if fits(w) {
			n += w.Deliveries
		}
	}
	return n
}

// TooLate sums what came too late, Spending and Saving what text messages cost
// and would have.
func (j *journeysRead) TooLate() (n uint64) {
	for _, l := range j.Late {
		n += l.Deliveries
	}
	return n
}

// Spending is described at TooLate.
func (j *journeysRead) Spending() (micros int64) {
	for _, t := range j.Texts {
		micros += t.CostMicros
	}
	return micros
}

// Saving is described at TooLate.
func (j *journeysRead) Saving() (micros int64) {
	for _, t := range j.Texts {
		micros += t.SavedMicros
	}
	return micros
}

// mostSteps is how many roads of a way are drawn apart; what comes after is one
// step.
const mostSteps = 4

// endColours are the ends of a way with their names and colours.
var endColours = map[string][2]string{
	"delivered": {"Delivered", "--accent"}, "accepted": {"No proof", "--ink-2"}, "unknown": {"No answer", "--warn"},
	"failed": {"Failed", "--bad"}, "expired": {"Expired", "--warn"}, "cancelled": {"Cancelled", "--ink-2"}, "suppressed": {"Suppressed", "--ink-2"},
}

// flow draws the ways as streams from the first road to the end.
func (j *journeysRead) flow() chart {
	c := chart{Kind: "flow", Unit: "deliveries"}
	links := map[[2]string]uint64{}
	seen := map[string]bool{}
	see := func(name, label, colour string, depth int) string {
		if !seen[name] {
			seen[name] = true
			c.Nodes = append(c.Nodes, node{name, label, colour, depth})
		}
		return name
	}
	deepest := 0
	for _, w := range j.Ways {
		deepest = max(deepest, min(len(w.Roads), mostSteps))
	}
	for _, w := range j.Ways {
		from := see("start", "Sent", "--accent-3", 0)
		for i, road := range w.Roads[:min(len(w.Roads), mostSteps)] {
			to := see(fmt.Sprint(i+1, " ", road), road, roadColour(road, 0), i+1)
			links[[2]string{from, to}] += w.Deliveries
			from = to
		}
		end, ok := endColours[w.End]
		if !ok {
			end = [2]string{w.End, "--ink-2"}
		}
		links[[2]string{from, see("end "+w.End, end[0], end[1], deepest+1)}] += w.Deliveries
	}
	for ends, n := range links {
		c.Links = append(c.Links, edge{ends[0], ends[1], n})
	}
	slices.SortFunc(c.Links, func(a, b edge) int {
		if d := strings.Compare(a.From, b.From); d != 0 {
			return d
		}
		return strings.Compare(a.To, b.To)
	})
	return c
}

// timeParts are the parts of the waiting time, with their colours.
var timeParts = [...][2]string{
	{"Until the first attempt", "--c7"}, {"On other roads", "--c2"}, {"The request", "--c1"}, {"To the device and back", "--c0"},
}

// TimeParts are the parts of the waiting time, for the legend.
func (insightView) TimeParts() (all [][2]string) {
	for _, p := range timeParts {
		all = append(all, [2]string{p[0], strings.TrimPrefix(p[1], "--")})
	}
	return all
}

func (j *journeysRead) charts(*reading) map[string]chart {
	spent := chart{Kind: "bars", Unit: "ms"}
	for i, p := range timeParts {
		s := series{Name: p[0], Colour: p[1]}
		for _, row := range j.Spent {
			s.Values = append(s.Values, at(row.Mean, i))
		}
		spent.Series = append(spent.Series, s)
	}
	for _, row := range j.Spent {
		spent.Names = append(spent.Names, row.Provider)
	}
	return map[string]chart{"ways": j.flow(), "spent": spent}
}

func at(values []float64, i int) float64 {
	if i < len(values) {
		return values[i]
	}
	return 0
}

// WaysShown are the commonest ways, for the table.
func (j *journeysRead) WaysShown() []Way { return j.Ways[:min(len(j.Ways), 12)] }

// Words writes a way.
func (w Way) Words() string {
	if len(w.Roads) == 0 {
		return "no road"
	}
	return strings.Join(w.Roads, " → ")
}

// Ending says how it ended.
func (w Way) Ending() string {
	end, ok := endColours[w.End]
	if !ok {
		return w.End
	}
	if w.By != "" && len(w.Roads) > 1 {
		return end[0] + " by " + w.By
	}
	return end[0]
}

func (j *journeysRead) tables(*reading) map[string]table {
	ways := table{Heads: []string{"roads", "end", "proven_by", "deliveries"}}
	for _, w := range j.Ways {
		ways.Rows = append(ways.Rows, []any{strings.Join(w.Roads, " > "), w.End, w.By, w.Deliveries})
	}
	spent := table{Heads: []string{"provider", "deliveries", "queue_mean_ms", "other_roads_mean_ms", "request_mean_ms", "to_device_mean_ms", "queue_p95_ms", "other_roads_p95_ms", "request_p95_ms", "to_device_p95_ms"}}
	for _, s := range j.Spent {
		row := []any{s.Provider, s.Deliveries}
		for i := range timeParts {
			row = append(row, at(s.Mean, i))
		}
		for i := range timeParts {
			row = append(row, at(s.P95, i))
		}
		spent.Rows = append(spent.Rows, row)
	}
	late := table{Heads: []string{"provider", "deliveries", "late_p50_ms", "late_p95_ms", "cost_micros"}}
	for _, l := range j.Late {
		late.Rows = append(late.Rows, []any{l.Provider, l.Deliveries, l.P50, l.P95, l.CostMicros})
	}
	texts := table{Heads: []string{"class", "texted", "arrived", "cost_micros", "spared", "saved_micros"}}
	for _, t := range j.Texts {
		texts.Rows = append(texts.Rows, []any{t.Class, t.Texted, t.Arrived, t.CostMicros, t.Spared, t.SavedMicros})
	}
	return map[string]table{"ways": ways, "spent": spent, "late": late, "texts": texts}
}

func (j *journeysRead) numbers(r *reading) any {
	return map[string]any{
		"app": r.app, "window": r.window.Name, "from": r.from, "to": r.to, "deliveries": j.Deliveries(), "fell_back": j.Fell(),
		"rescued": j.Rescued(), "too_late": j.TooLate(), "ways": j.Ways, "spent": j.Spent, "late": j.Late, "texts": j.Texts, "faults": r.faults,
	}
}
