package fcm

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
)

// options are what a notification may say to Google alone. Names and meanings
// are those of firebase.google.com/docs/reference/fcm/rest/v1/projects.messages,
// but for the first three, which are for all platforms.
type options struct {
	// DataOnly has nothing shown: title and body stay away, and the app gets
	// the data, even while it sleeps if the priority is high.
	DataOnly       bool     `json:"data_only"`
	Image          string   `json:"image"`
	AnalyticsLabel string   `json:"analytics_label"`
	Android        *android `json:"android"`
	APNS           *apns    `json:"apns"`
	Webpush        *webpush `json:"webpush"`
}

type android struct {
	CollapseKey           *string              `json:"collapse_key"`
	Priority              string               `json:"priority"`
	TTL                   string               `json:"ttl"` // as "3600s"; "0s" is now or never
	RestrictedPackageName string               `json:"restricted_package_name"`
	DirectBootOK          bool                 `json:"direct_boot_ok"`
	FCMOptions            *fcmOptions          `json:"fcm_options"`
	Notification          *androidNotification `json:"notification"`
}

type androidNotification struct {
	Title                 string         `json:"title"`
	Body                  string         `json:"body"`
	Icon                  string         `json:"icon"`
	Color                 string         `json:"color"`
	Sound                 string         `json:"sound"`
	Tag                   string         `json:"tag"`
	ClickAction           string         `json:"click_action"`
	BodyLocKey            string         `json:"body_loc_key"`
	BodyLocArgs           []string       `json:"body_loc_args"`
	TitleLocKey           string         `json:"title_loc_key"`
	TitleLocArgs          []string       `json:"title_loc_args"`
	ChannelID             string         `json:"channel_id"`
	Image                 string         `json:"image"`
	Ticker                string         `json:"ticker"`
	Sticky                bool           `json:"sticky"`
	EventTime             string         `json:"event_time"`
	LocalOnly             bool           `json:"local_only"`
	Priority              string         `json:"notification_priority"`
	DefaultSound          bool           `json:"default_sound"`
	DefaultVibrateTimings bool           `json:"default_vibrate_timings"`
	DefaultLightSettings  bool           `json:"default_light_settings"`
	VibrateTimings        []string       `json:"vibrate_timings"`
	Visibility            string         `json:"visibility"`
	NotificationCount     *int           `json:"notification_count"`
	LightSettings         *lightSettings `json:"light_settings"`
	Proxy                 string         `json:"proxy"`
}

type lightSettings struct {
	Color string `json:"color"` // "#RRGGBB" or "#RRGGBBAA"
	On    string `json:"light_on_duration"`
	Off   string `json:"light_off_duration"`
}

type fcmOptions struct {
	AnalyticsLabel string `json:"analytics_label"`
}

type apns struct {
	Headers           map[string]string `json:"headers"`
	Payload           json.RawMessage   `json:"payload"`
	FCMOptions        *apnsOptions      `json:"fcm_options"`
	LiveActivityToken string            `json:"live_activity_token"`
}

type apnsOptions struct {
	AnalyticsLabel string `json:"analytics_label"`
	Image          string `json:"image"`
}

type webpush struct {
	Headers      map[string]string `json:"headers"`
	Data         map[string]string `json:"data"`
	Notification json.RawMessage   `json:"notification"`
	FCMOptions   *webpushOptions   `json:"fcm_options"`
}

type webpushOptions struct {
	Link string `json:"link"`
}

var overrides = providers.NewOverrides(name, (*options).check)

// CheckOverrides tells what is wrong with a notification's overrides for Google.
func CheckOverrides(raw []byte) error { return overrides.Check(raw) }

// check finds what Google would refuse, by the names of its own fields.
func (o *options) check(faults *providers.Faults) {
	checkImage(faults, "image", o.Image)
	checkLabel(faults, "analytics_label", o.AnalyticsLabel)
	if o.DataOnly && o.Image != "" {
		faults.Add("image", "is not shown where data_only is true")
	}
	if a := o.Android; a != nil {
		a.check(faults)
		if o.DataOnly && a.Notification != nil {
			faults.Add("android.notification", "is not shown where data_only is true")
		}
	}
	if a := o.APNS; a != nil {
		a.check(faults)
	}
	if w := o.Webpush; w != nil {
		w.check(faults)
		if o.DataOnly && w.Notification != nil {
			faults.Add("webpush.notification", "is not shown where data_only is true")
		}
	}
}

func (a *android) check(faults *providers.Faults) {
	faults.OneOf("android.priority", a.Priority, "high", "normal")
	if ttl := checkDuration(faults, "android.ttl", a.TTL); ttl > maxTTL {
		faults.Add("android.ttl", "is more than the four weeks that Google keeps a message")
	}
	if a.FCMOptions != nil {
		checkLabel(faults, "android.fcm_options.analytics_label", a.FCMOptions.AnalyticsLabel)
	}
	if n := a.Notification; n != nil {
		n.check(faults)
	}
}

func (n *androidNotification) check(faults *providers.Faults) {
	const at = "android.notification."
	checkImage(faults, at+"image", n.Image)
	checkColor(faults, at+"color", n.Color, 7)
	faults.OneOf(at+"notification_priority", n.Priority, "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX")
	faults.OneOf(at+"visibility", n.Visibility, "PRIVATE", "PUBLIC", "SECRET")
	faults.OneOf(at+"proxy", n.Proxy, "ALLOW", "DENY", "IF_PRIORITY_LOWERED")
	faults.Within(at+"notification_count", n.NotificationCount, 0, 1<<31-1)
	if len(n.TitleLocArgs) > 0 && n.TitleLocKey == "" {
		faults.Add(at+"title_loc_args", "means nothing without title_loc_key")
	}
	if len(n.BodyLocArgs) > 0 && n.BodyLocKey == "" {
		faults.Add(at+"body_loc_args", "means nothing without body_loc_key")
	}
	if _, err := time.Parse(time.RFC3339Nano, n.EventTime); n.EventTime != "" && err != nil {
		faults.Add(at+"event_time", "must be a time as in RFC 3339")
	}
	for _, t := range n.VibrateTimings {
		checkDuration(faults, at+"vibrate_timings", t)
	}
	if l := n.LightSettings; l != nil {
		faults.Require(at+"light_settings.color", l.Color)
		faults.Require(at+"light_settings.light_on_duration", l.On)
		faults.Require(at+"light_settings.light_off_duration", l.Off)
		checkColor(faults, at+"light_settings.color", l.Color, 7, 9)
		checkDuration(faults, at+"light_settings.light_on_duration", l.On)
		checkDuration(faults, at+"light_settings.light_off_duration", l.Off)
	}
}

// apnsHeaders are those that Google passes on to Apple.
var apnsHeaders = []string{"apns-id", "apns-push-type", "apns-expiration", "apns-priority", "apns-topic", "apns-collapse-id"}

func (a *apns) check(faults *providers.Faults) {
	for header := range a.Headers {
		faults.OneOf("apns.headers."+header, header, apnsHeaders...)
	}
	if a.Payload != nil {
		var payload struct {
			Aps json.RawMessage `json:"aps"`
		}
		if json.Unmarshal(a.Payload, &payload) != nil || !bytes.HasPrefix(payload.Aps, []byte("{")) {
			faults.Add("apns.payload", "must be an object with the object aps in it")
		} else if _, err := a.payload(); err != nil {
			faults.Add("apns.payload.aps", "has a field of a type that is not Apple's")
		}
	}
	if a.FCMOptions != nil {
		checkLabel(faults, "apns.fcm_options.analytics_label", a.FCMOptions.AnalyticsLabel)
		checkImage(faults, "apns.fcm_options.image", a.FCMOptions.Image)
	}
}

func (w *webpush) check(faults *providers.Faults) {
	for header, value := range w.Headers {
		switch header {
		case "TTL", "Topic":
		case "Urgency":
			faults.OneOf("webpush.headers.Urgency", value, "very-low", "low", "normal", "high")
		default:
			faults.Add("webpush.headers."+header, "is none of TTL, Urgency, Topic")
		}
	}
	if w.Notification != nil {
		if n, err := w.notification(); err != nil {
			faults.Add("webpush.notification", "must be an object with the options of a browser's notification")
		} else {
			faults.OneOf("webpush.notification.dir", n.Direction, "ltr", "rtl", "auto")
		}
	}
	if o := w.FCMOptions; o != nil {
		if u, err := url.Parse(o.Link); err != nil || u.Scheme != "https" || u.Host == "" {
			faults.Add("webpush.fcm_options.link", "must be an https address")
		}
	}
}

var (
	labelPattern    = regexp.MustCompile(`^[a-zA-Z0-9-_.~%]{1,50}$`)
	durationPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?s$`)
)

func checkLabel(faults *providers.Faults, field, label string) {
	if label != "" && !labelPattern.MatchString(label) {
		faults.Add(field, `must be 1 to 50 letters, digits or "-_.~%"`)
	}
}

func checkImage(faults *providers.Faults, field, image string) {
	if u, err := url.ParseRequestURI(image); image != "" && (err != nil || u.Host == "") {
		faults.Add(field, "must be the address of an image")
	}
}

func checkColor(faults *providers.Faults, field, color string, lengths ...int) {
	if color == "" {
		return
	}
	digits, ok := strings.CutPrefix(color, "#")
	fits := false
	for _, n := range lengths {
		fits = fits || len(color) == n
	}
	if !ok || !fits || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		faults.Add(field, "must be a color like #00aaff")
	}
}

// checkDuration reads Google's spelling of a duration.
func checkDuration(faults *providers.Faults, field, text string) time.Duration {
	if text == "" {
		return 0
	}
	if !durationPattern.MatchString(text) {
		faults.Add(field, `must be seconds, as "3600s" or "0.5s"`)
		return 0
	}
	return duration(text)
}

// duration reads what checkDuration found good.
func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return d
}
