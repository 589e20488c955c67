package places

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/push"
)

// Limits of a report.
const (
	MaxPoints = 1000
	MaxReport = 256 << 10 // bytes
	// maxAccuracy is a position that says next to nothing, in metres.
	maxAccuracy = 100_000
	// ahead is how far a device's clock may run before ours.
	ahead = 2 * time.Minute
)

// reportRequest is what devices send: on both doors the same.
type reportRequest struct {
	Positions []positionRequest `json:"positions"`
}

type positionRequest struct {
	Lat      *float64 `json:"lat"`
	Lon      *float64 `json:"lon"`
	Accuracy *float64 `json:"accuracy_m"`
	At       string   `json:"at"`
}

var reportForm = strictjson.New[reportRequest]()

// noNumber finds what JSON has no word for and devices write nevertheless.
var noNumber = regexp.MustCompile(`([:\[,]\s*)([+-]?(?:NaN|nan|Infinity|inf))\b`)

// ReadReport reads the positions that a device sends, ordered by time. What is
// wrong with them is a [push.Invalid] with every fault; positions that are not
// in JSON at all are one too.
func (p *Places) ReadReport(raw []byte) ([]push.Position, error) {
	if len(raw) > MaxReport {
		return nil, fault("positions", "has more than %d bytes", MaxReport)
	}
	if !json.Valid(raw) { // NaN becomes a text, and so a fault of its field
		raw = noNumber.ReplaceAll(raw, []byte(`$1"$2"`))
	}
	if body := bytes.TrimSpace(raw); !json.Valid(raw) || body[0] != '{' {
		return nil, fault("", "must be a JSON object with positions")
	}
	if depth(raw) > 4 {
		return nil, fault("", "is nested too deep")
	}
	req, faults := reportForm.Read(raw)
	now := p.now().UTC()
	if n := len(req.Positions); !faults.Has("positions") && (n == 0 || n > MaxPoints) {
		faults.Addf("positions", "must have 1 to %d items, not %d", MaxPoints, n)
		return nil, faults.Err()
	}
	points := make([]push.Position, len(req.Positions))
	for i, at := range req.Positions {
		points[i] = p.position(&faults, fmt.Sprintf("positions[%d].", i), at, now)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(points, func(a, b push.Position) int { return a.At.Compare(b.At) })
	return points, nil
}

func (p *Places) position(faults *strictjson.Faults, field string, r positionRequest, now time.Time) (at push.Position) {
	number := func(name string, v *float64) float64 {
		if v == nil {
			faults.Add(field+name, "is missing")
			return 0
		}
		return *v
	}
	at.Lat, at.Lon = number("lat", r.Lat), number("lon", r.Lon)
	CheckPoint(faults.Add, field, at.Lat, at.Lon)
	if a := r.Accuracy; a != nil {
		if at.Accuracy = *a; !(*a >= 0 && *a <= maxAccuracy) {
			faults.Addf(field+"accuracy_m", "must be 0 to %d metres", maxAccuracy)
		}
	}
	at.At = now
	if r.At == "" {
		return at
	}
	when, err := time.Parse(time.RFC3339Nano, r.At)
	switch {
	case err != nil:
		faults.Add(field+"at", "must be a time as in RFC 3339, such as 2026-03-01T08:00:00Z")
	case when.After(now.Add(ahead)):
		faults.Addf(field+"at", "is in the future: it is %s now", now.Format(time.RFC3339))
	case when.Before(now.Add(-p.cfg.Oldest)):
		faults.Addf(field+"at", "is too old: positions of the last %s are taken", p.cfg.Oldest)
	case when.Before(now):
		at.At = when.UTC()
	}
	return at
}

func fault(field, format string, args ...any) error {
	return &push.Invalid{Faults: []push.Fault{{Field: field, Detail: fmt.Sprintf(format, args...)}}}
}

// depth is how deep brackets outside of texts nest.
func depth(raw []byte) (deepest int) {
	now, inText := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inText = !inText
		case inText && c == '\\':
			i++
		case inText:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
