package web

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// chart is what a module draws in the element of its name. Times are in
// milliseconds since 1970.
type chart struct {
	Kind   string   `json:"kind"` // lines, shares (stacked to a whole), stacks, heat, flow, bars
	Unit   string   `json:"unit"`
	From   int64    `json:"from,omitempty"`
	To     int64    `json:"to,omitempty"`
	Step   int      `json:"step,omitempty"` // seconds
	Series []series `json:"series,omitempty"`
	Names  []string `json:"names,omitempty"` // the steps of the other axis: of heat upwards, of bars downwards
	Cells  [][3]any `json:"cells,omitempty"` // of heat: time, place in Names, value
	Nodes  []node   `json:"nodes,omitempty"` // of flow
	Links  []edge   `json:"links,omitempty"` //
}

// series is one line, area or colour of a chart.
type series struct {
	Name   string   `json:"name"`
	Colour string   `json:"colour"` // a custom property of herald.css
	Dash   []int    `json:"dash,omitempty"`
	Fill   int      `json:"fill,omitempty"` // percent of the colour under a line
	Points [][2]any `json:"points,omitempty"`
	Values []any    `json:"values,omitempty"` // of bars, one for each of Names
}

type node struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Colour string `json:"colour"`
	Depth  int    `json:"depth"`
}

type edge struct {
	From  string `json:"source"`
	To    string `json:"target"`
	Value uint64 `json:"value"`
}

// over is a chart over the time of a reading.
func (r *reading) over(kind, unit string) chart {
	return chart{Kind: kind, Unit: unit, From: r.from.UnixMilli(), To: r.to.UnixMilli(), Step: int(r.window.Step / time.Second)}
}

// steps are the starts of the reading's steps.
func (r *reading) steps() []time.Time {
	var all []time.Time
	for at := r.from.Truncate(r.window.Step).Add(r.window.Step); !at.After(r.to); at = at.Add(r.window.Step) {
		all = append(all, at)
	}
	return all
}

// spread makes a series of each name in cells (name → start of step → value),
// with zeros where nothing was, in the order of providers or of their names.
func (r *reading) spread(cells map[string]map[int64]float64, colour func(name string, i int) string) []series {
	names := make([]string, 0, len(cells))
	for name := range cells {
		names = append(names, name)
	}
	slices.SortFunc(names, byRoad)
	all := make([]series, len(names))
	for i, name := range names {
		all[i] = series{Name: name, Colour: colour(name, i)}
		for _, at := range r.steps() {
			all[i].Points = append(all[i].Points, [2]any{at.UnixMilli(), cells[name][at.Unix()]})
		}
	}
	return all
}

// roads is the order in which providers are listed, and so their colours: the
// live connection, the two large ones, text messages, the makers', the rest.
var roads = [...]string{"live", "apns", "fcm", "sms", "huawei", "honor", "xiaomi", "oppo", "vivo", "webpush", "xmpp", "http", "smpp"}

// hues is how many colours herald.css has for providers: --c0 and on.
const hues = 8

// roadColour is a provider's colour, the same on every page.
func roadColour(name string, _ int) string {
	i := slices.Index(roads[:], name)
	if i < 0 {
		for _, c := range name {
			i += int(c)
		}
	}
	i = max(i, 0)
	if i >= hues { // the first hue is the house's own road's
		i = 1 + (i-hues)%(hues-1)
	}
	return "--c" + strconv.Itoa(i)
}

func byRoad(a, b string) int {
	place := func(name string) int {
		if i := slices.Index(roads[:], name); i >= 0 {
			return i
		}
		return len(roads)
	}
	if d := place(a) - place(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// table is what can be downloaded as CSV.
type table struct {
	Heads []string
	Rows  [][]any
}

// write writes the table as CSV (RFC 4180). A cell that a spreadsheet would
// take for a formula is made a text.
func (t table) write(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.Heads); err != nil {
		return err
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cell(v)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func cell(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case *float64:
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(*x, 'f', -1, 64)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case string:
		if x != "" && strings.ContainsRune("=+-@\t\r", rune(x[0])) {
			return "'" + x
		}
		return x
	default:
		return fmt.Sprint(x)
	}
}
