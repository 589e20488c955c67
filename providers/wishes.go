package providers

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// Click is what a tap on a notification opens, in the overrides of the vendors
// that let a notification say so. Each has some of these ways.
type Click struct {
	Open   string `json:"open"`   // ClickApp and so on
	Target string `json:"target"` // what is opened, unless it is the app
}

// The ways of a [Click].
const (
	ClickApp      = "app"      // the app, as its icon does
	ClickURL      = "url"      // an address, in the browser
	ClickIntent   = "intent"   // an activity, by the address of an intent: "intent://…#Intent;…;end"
	ClickActivity = "activity" // an activity, by the name of its class
)

// Check notes what is wrong with a click that a vendor with these ways is to
// be told of.
func (c *Click) Check(faults *Faults, ways ...string) {
	if c == nil {
		return
	}
	switch {
	case c.Open == "":
		faults.Add("click.open", "is missing")
	case !slices.Contains(ways, c.Open):
		faults.Add("click.open", "is none of "+strings.Join(ways, ", "))
	case c.Open == ClickApp && c.Target != "":
		faults.Add("click.target", "is not for the app, which opens as it does by its icon")
	case c.Open != ClickApp && (c.Target == "" || len(c.Target) > 2048):
		faults.Add("click.target", "must be 1 to 2048 bytes")
	case c.Open == ClickURL && !isWebAddress(c.Target):
		faults.Add("click.target", "must be an http or https address")
	case c.Open == ClickIntent && !strings.Contains(c.Target, "#Intent;"):
		faults.Add("click.target", "must be an intent's address, with #Intent;")
	}
}

// Tap is a [Click] in the words of Huawei, and of Honor, whose service is
// made after Huawei's.
type Tap struct {
	Type   int    `json:"type"`
	Intent string `json:"intent,omitempty"`
	URL    string `json:"url,omitempty"`
}

// The types of a [Tap].
const (
	OpenIntent = 1
	OpenURL    = 2
	OpenApp    = 3
)

// Tap is what a tap does; the app's own without a word of the caller's.
func (c *Click) Tap(own Tap) Tap {
	switch {
	case c == nil:
		return own
	case c.Open == ClickURL:
		return Tap{Type: OpenURL, URL: c.Target}
	case c.Open == ClickIntent:
		return Tap{Type: OpenIntent, Intent: c.Target}
	default:
		return Tap{Type: OpenApp}
	}
}

// AppTap is what a tap does unless the notification says otherwise: it opens the
// page of an app's intent, or else the app.
func AppTap(intent string) Tap {
	if intent == "" {
		return Tap{Type: OpenApp}
	}
	return Tap{Type: OpenIntent, Intent: intent}
}

// Lasting is how long the same two are to keep a message, as "86400s"; "" leaves
// it to them.
func Lasting(end time.Time, most time.Duration) string {
	if end.IsZero() {
		return ""
	}
	left := min(max(time.Until(end).Round(time.Second), time.Second), most)
	return strconv.Itoa(int(left/time.Second)) + "s"
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Badge is the number on the app's icon, in the overrides of the vendors that
// count there for the app.
type Badge struct {
	Add   *int   `json:"add"`   // to what is there
	Set   *int   `json:"set"`   // in place of it
	Class string `json:"class"` // of the app's first activity, which they need to know
}

// Check notes what is wrong with a badge.
func (b *Badge) Check(faults *Faults) {
	if b == nil {
		return
	}
	faults.Within("badge.add", b.Add, 1, 99)
	faults.Within("badge.set", b.Set, 0, 99)
	switch {
	case b.Add == nil && b.Set == nil:
		faults.Add("badge", "must have add or set")
	case b.Add != nil && b.Set != nil:
		faults.Add("badge", "must not have both add and set")
	}
	if b.Class == "" {
		faults.Add("badge.class", "is missing")
	}
}

// Sooner is when a vendor may throw a message away that is worth sending until
// end, or zero for no end: earlier, if the caller's ttl for this vendor says so.
func Sooner(end time.Time, ttlSeconds *int) time.Time {
	if ttlSeconds == nil {
		return end
	}
	if own := time.Now().Add(time.Duration(*ttlSeconds) * time.Second); end.IsZero() || own.Before(end) {
		return own
	}
	return end
}

// TextMessage is what a notification may say to a service of text messages
// alone.
type TextMessage struct {
	Text string `json:"text"`        // in place of title and body
	From string `json:"from"`        // in place of the credentials' own
	TTL  *int   `json:"ttl_seconds"` // how long the service may keep trying
}

// Whole is what the person reads.
func (m *TextMessage) Whole(d *push.Delivery) string {
	switch {
	case m.Text != "":
		return m.Text
	case d.Title == "" || d.Body == "":
		return d.Title + d.Body
	default:
		return d.Title + "\n" + d.Body
	}
}
