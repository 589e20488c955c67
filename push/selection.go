package push

// Mode says who chooses the road to a device.
type Mode string

// The modes.
const (
	ModeAuto   Mode = "auto"   // the selector
	ModeStatic Mode = "static" // a fixed order
	ModeShadow Mode = "shadow" // a fixed order, and what the selector would have chosen is recorded
	ModeAB     Mode = "ab"     // the selector for a share of the devices, a fixed order for the others
)

// Modes lists every mode.
var Modes = [...]Mode{ModeAuto, ModeStatic, ModeShadow, ModeAB}

// Known reports whether m is one of [Modes].
func (m Mode) Known() bool {
	for _, k := range Modes {
		if m == k {
			return true
		}
	}
	return false
}

// Side is one side of an A/B: how its attempts fared.
type Side struct {
	Class    Class  `json:"class"`
	Policy   string `json:"policy"` // "auto" or "static"
	Attempts int    `json:"attempts"`
	Arrived  int    `json:"arrived"`
	// Guard is why the selector's side was given up; empty if it was not.
	Guard string `json:"guard,omitempty"`
}

// Selection is who chooses for an app.
type Selection struct {
	// Kill takes the choice from the selector at once, whatever the rules say.
	Kill bool `json:"kill"`
	// Rules are by class; the first that fits counts.
	Rules []SelectionRule `json:"rules"`
}

// SelectionRule is who chooses for one class.
type SelectionRule struct {
	Class Class `json:"class,omitempty"` // empty: every class
	Mode  Mode  `json:"mode"`
	// Order is the fixed order; providers that it does not name come after, in
	// the order of the route: the live connection, the device's vendors, SMS.
	Order []string `json:"order,omitempty"`
	// Share is the part of the devices that the selector decides for, for "ab".
	Share float64 `json:"share,omitempty"`
}

// IsZero reports whether nothing was said: the selector chooses.
func (s Selection) IsZero() bool { return !s.Kill && len(s.Rules) == 0 }

// Rule is what counts for a class.
func (s Selection) Rule(c Class) SelectionRule {
	rule := SelectionRule{Mode: ModeAuto}
	for _, r := range s.Rules {
		if r.Class == "" || r.Class == c {
			rule = r
			break
		}
	}
	if s.Kill {
		rule.Mode = ModeStatic
	}
	return rule
}
