package apns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sideshow/apns2"

	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Apple alone. Each is Apple's own
// field of that name, of
// developer.apple.com/documentation/usernotifications/generating-a-remote-notification
// and …/sending-notification-requests-to-apns.
type options struct {
	PushType   string  `json:"push_type"`
	Priority   *int    `json:"priority"`
	CollapseID *string `json:"collapse_id"`
	TTL        *int    `json:"ttl_seconds"` // 0 is now or never
	Topic      string  `json:"topic"`       // with its suffix; otherwise the app's, with the push type's
	// Token takes the place of the device's own, for the push types that have
	// tokens of their own: those of PushKit, and of each Live Activity.
	Token string `json:"token"`

	Badge             *int           `json:"badge"`
	Sound             *string        `json:"sound"` // "" is none
	CriticalSound     *criticalSound `json:"critical_sound"`
	ThreadID          string         `json:"thread_id"`
	Category          string         `json:"category"`
	TargetContentID   string         `json:"target_content_id"`
	InterruptionLevel string         `json:"interruption_level"`
	RelevanceScore    *float64       `json:"relevance_score"`
	FilterCriteria    string         `json:"filter_criteria"`
	MutableContent    *bool          `json:"mutable_content"` // true without a word
	ContentAvailable  bool           `json:"content_available"`

	Subtitle        string   `json:"subtitle"`
	TitleLocKey     string   `json:"title_loc_key"`
	TitleLocArgs    []string `json:"title_loc_args"`
	SubtitleLocKey  string   `json:"subtitle_loc_key"`
	SubtitleLocArgs []string `json:"subtitle_loc_args"`
	LocKey          string   `json:"loc_key"`
	LocArgs         []string `json:"loc_args"`
	LaunchImage     string   `json:"launch_image"`

	LiveActivity *liveActivity `json:"live_activity"`
}

// criticalSound sounds through the mute switch; Apple grants the right to it.
type criticalSound struct {
	Name   string   `json:"name"`   // "default" without one
	Volume *float64 `json:"volume"` // 0 to 1
}

// liveActivity is the content of a push to a Live Activity, of
// developer.apple.com/documentation/activitykit/starting-and-updating-live-activities-with-activitykit-push-notifications
type liveActivity struct {
	Event          string          `json:"event"`
	ContentState   json.RawMessage `json:"content_state"`
	Timestamp      *int            `json:"timestamp"` // unix seconds; when the notification was accepted without one
	StaleDate      *int            `json:"stale_date"`
	DismissalDate  *int            `json:"dismissal_date"`
	AttributesType string          `json:"attributes_type"`
	Attributes     json.RawMessage `json:"attributes"`
	// Alert has title and body shown; a start always shows them.
	Alert bool `json:"alert"`
}

// pushType is what Apple asks of one of its push types.
type pushType struct {
	suffix     string // of the topic, behind the app's bundle id
	priorities []int  // the first is what goes out without a word
	limit      int    // bytes of the payload
	silent     bool   // nothing of it is shown, so nothing that is shown may be said
	tokenOnly  bool   // a certificate is no good for it
}

// The priorities: at once, when the battery bears it, and last of all.
const (
	now    = apns2.PriorityHigh
	gentle = apns2.PriorityLow
	last   = 1
)

// pushTypes are Apple's, but for mdm, whose payload and topic are a server's
// that manages devices.
var pushTypes = map[string]pushType{
	"alert":        {"", []int{now, gentle, last}, maxPayload, false, false},
	"background":   {"", []int{gentle}, maxPayload, true, false},
	"voip":         {".voip", []int{now, gentle, last}, maxVoIP, false, false},
	"complication": {".complication", []int{now, gentle, last}, maxPayload, true, false},
	"location":     {".location-query", []int{now, gentle}, maxPayload, true, true},
	"liveactivity": {".push-type.liveactivity", []int{now, gentle}, maxPayload, false, true},
	"fileprovider": {".pushkit.fileprovider", []int{now, gentle, last}, maxPayload, true, false},
	"pushtotalk":   {".voip-ptt", []int{now}, maxPayload, true, false},
	"controls":     {".push-type.controls", []int{now, gentle, last}, maxPayload, true, false},
	"widgets":      {".push-type.widgets", []int{now, gentle, last}, maxPayload, true, false},
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Apple.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

// unseen tells whether a notification's overrides for Apple make it one that
// shows nothing.
func unseen(raw []byte) bool {
	var o options
	return json.Unmarshal(raw, &o) == nil && pushTypes[o.kind()].silent
}

// kind is the push type, "alert" without a word.
func (o *options) kind() string {
	if o.PushType == "" {
		return "alert"
	}
	return o.PushType
}

// check finds everything that Apple would refuse or silently not do.
func (o *options) check(faults *providers.Faults) {
	t, known := pushTypes[o.kind()]
	if !known {
		faults.OneOf("push_type", o.PushType, "alert", "background", "complication", "controls", "fileprovider",
			"liveactivity", "location", "pushtotalk", "voip", "widgets")
		return
	}
	o.checkHeaders(faults, t)
	if t.silent {
		o.refuseShown(faults)
	}
	faults.OneOf("interruption_level", o.InterruptionLevel, "passive", "active", "time-sensitive", "critical")
	if s := o.RelevanceScore; s != nil && (*s < 0 || *s > 1) {
		faults.Add("relevance_score", "must be 0 to 1")
	}
	if o.Badge != nil && *o.Badge < 0 {
		faults.Add("badge", "must not be negative; 0 takes it away")
	}
	if c := o.CriticalSound; c != nil {
		if o.Sound != nil {
			faults.Add("critical_sound", "cannot be given beside sound")
		}
		if c.Volume != nil && (*c.Volume < 0 || *c.Volume > 1) {
			faults.Add("critical_sound.volume", "must be 0 to 1")
		}
	}
	for field, args := range map[string][2]bool{
		"title_loc_args":    {o.TitleLocArgs != nil, o.TitleLocKey != ""},
		"subtitle_loc_args": {o.SubtitleLocArgs != nil, o.SubtitleLocKey != ""},
		"loc_args":          {o.LocArgs != nil, o.LocKey != ""},
	} {
		if args[0] && !args[1] {
			faults.Add(field, "means nothing without "+strings.TrimSuffix(field, "args")+"key")
		}
	}
	o.checkLiveActivity(faults)
}

func (o *options) checkHeaders(faults *providers.Faults, t pushType) {
	if p := o.Priority; p != nil && !slices.Contains(t.priorities, *p) {
		faults.Add("priority", fmt.Sprintf("%d is none that Apple takes for %s: %s", *p, o.kind(), words(t.priorities)))
	}
	if c := o.CollapseID; c != nil && (len(*c) > 64 || hasControls(*c)) {
		faults.Add("collapse_id", "must be at most 64 bytes without control characters")
	}
	faults.Within("ttl_seconds", o.TTL, 0, 30*86400)
	switch {
	case o.Topic == "" || isTopic(o.Topic, t.suffix):
	case t.suffix == "":
		faults.Add("topic", "must be a bundle id")
	default:
		faults.Add("topic", "must be a bundle id with "+t.suffix+" behind it")
	}
	if o.Token != "" && !isHex(o.Token) {
		faults.Add("token", "must be in hex")
	}
}

// refuseShown names what would be shown by a push that shows nothing.
func (o *options) refuseShown(faults *providers.Faults) {
	for field, given := range map[string]bool{
		"sound": o.Sound != nil, "critical_sound": o.CriticalSound != nil, "badge": o.Badge != nil,
		"interruption_level": o.InterruptionLevel != "", "relevance_score": o.RelevanceScore != nil,
		"subtitle": o.Subtitle != "", "title_loc_key": o.TitleLocKey != "", "subtitle_loc_key": o.SubtitleLocKey != "",
		"loc_key": o.LocKey != "", "launch_image": o.LaunchImage != "", "category": o.Category != "", "thread_id": o.ThreadID != "",
		"mutable_content": o.MutableContent != nil && *o.MutableContent,
	} {
		if given {
			faults.Add(field, "is not for push_type "+o.PushType+", which shows nothing")
		}
	}
}

func (o *options) checkLiveActivity(faults *providers.Faults) {
	a := o.LiveActivity
	switch {
	case a == nil && o.PushType == "liveactivity":
		faults.Add("live_activity", "is missing")
		return
	case a == nil:
		return
	case o.PushType != "liveactivity":
		faults.Add("live_activity", "needs push_type liveactivity")
		return
	}
	faults.Require("live_activity.event", a.Event)
	faults.OneOf("live_activity.event", a.Event, "start", "update", "end")
	object := func(field string, raw json.RawMessage, needed bool) {
		switch {
		case raw == nil && needed:
			faults.Add("live_activity."+field, "is missing")
		case raw != nil && !bytes.HasPrefix(raw, []byte("{")):
			faults.Add("live_activity."+field, "must be an object")
		}
	}
	object("content_state", a.ContentState, a.Event != "end")
	object("attributes", a.Attributes, a.Event == "start")
	if a.Event == "start" {
		faults.Require("live_activity.attributes_type", a.AttributesType)
	} else if a.AttributesType != "" || a.Attributes != nil {
		faults.Add("live_activity.attributes", "is for the event start only")
	}
	if a.DismissalDate != nil && a.Event != "end" {
		faults.Add("live_activity.dismissal_date", "is for the event end only")
	}
	for field, at := range map[string]*int{"timestamp": a.Timestamp, "stale_date": a.StaleDate, "dismissal_date": a.DismissalDate} {
		if at != nil && *at < 0 {
			faults.Add("live_activity."+field, "must be seconds since 1970")
		}
	}
}

func words(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
}

// isTopic knows a bundle id with a suffix behind it.
func isTopic(s, suffix string) bool {
	id, ok := strings.CutSuffix(s, suffix)
	return ok && id != "" && len(s) <= 255 && strings.Trim(id, bundleIDLetters) == ""
}

const bundleIDLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

func isHex(s string) bool { return len(s) <= 512 && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

func hasControls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
