package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// violation is one faulty field of a request, as google.rpc.BadRequest has it.
type violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// fcmShape says what a JSON value may be: an object with the fields in it, a
// list or a map of one shape, or what fits accepts.
type fcmShape struct {
	fields map[string]fcmShape
	list   *fcmShape
	values *fcmShape
	fits   func(v any) bool
}

// fcmMessage is the message of a request, of
// firebase.google.com/docs/reference/fcm/rest/v1/projects.messages as of
// 2026-11-24. Google takes its names in snake_case and in camelCase.
var fcmMessage = fcmShape{fields: map[string]fcmShape{
	"name": isText, "data": {values: &isText}, "token": isText, "topic": isText, "condition": isText,
	"notification": {fields: map[string]fcmShape{"title": isText, "body": isText, "image": isText}},
	"fcm_options":  {fields: map[string]fcmShape{"analytics_label": isLabel}},
	"android": {fields: map[string]fcmShape{
		"collapse_key": isText, "priority": oneOf("NORMAL", "HIGH", "normal", "high"), "ttl": isSeconds, "restricted_package_name": isText,
		"data": {values: &isText}, "fcm_options": {fields: map[string]fcmShape{"analytics_label": isLabel}},
		"direct_boot_ok": isBool, "bandwidth_constrained_ok": isBool, "restricted_satellite_ok": isBool,
		"notification": {fields: map[string]fcmShape{
			"title": isText, "body": isText, "icon": isText, "color": isColor, "sound": isText, "tag": isText, "click_action": isText,
			"body_loc_key": isText, "body_loc_args": {list: &isText}, "title_loc_key": isText, "title_loc_args": {list: &isText},
			"channel_id": isText, "ticker": isText, "sticky": isBool, "event_time": isText, "local_only": isBool, "image": isText,
			"notification_priority": oneOf("PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"),
			"default_sound":         isBool, "default_vibrate_timings": isBool, "default_light_settings": isBool,
			"vibrate_timings": {list: &isSeconds}, "visibility": oneOf("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
			"notification_count": isCount, "bypass_proxy_notification": isBool, "proxy": oneOf("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
			"light_settings": {fields: map[string]fcmShape{
				"color":             {fields: map[string]fcmShape{"red": isShare, "green": isShare, "blue": isShare, "alpha": isShare}},
				"light_on_duration": isSeconds, "light_off_duration": isSeconds,
			}},
		}},
	}},
	"apns": {fields: map[string]fcmShape{
		"headers": {values: &isText}, "payload": isObject, "live_activity_token": isText,
		"fcm_options": {fields: map[string]fcmShape{"analytics_label": isLabel, "image": isText}},
	}},
	"webpush": {fields: map[string]fcmShape{
		"headers": {values: &isText}, "data": {values: &isText}, "notification": isObject,
		"fcm_options": {fields: map[string]fcmShape{"link": isHTTPS, "analytics_label": isLabel}},
	}},
}}

var (
	secondsPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)
	labelPattern   = regexp.MustCompile(`^[a-zA-Z0-9-_.~%]{1,50}$`)
	colorPattern   = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

	isText   = fcmShape{fits: func(v any) bool { _, ok := v.(string); return ok }}
	isBool   = fcmShape{fits: func(v any) bool { _, ok := v.(bool); return ok }}
	isObject = fcmShape{fits: func(v any) bool { _, ok := v.(map[string]any); return ok }}
	isShare  = fcmShape{fits: func(v any) bool { f, ok := v.(float64); return ok && f >= 0 && f <= 1 }}
	isCount  = fcmShape{fits: func(v any) bool { f, ok := v.(float64); return ok && f >= 0 && f == math.Trunc(f) }}

	isSeconds = matching(secondsPattern)
	isLabel   = matching(labelPattern)
	isColor   = matching(colorPattern)
	isHTTPS   = matching(regexp.MustCompile(`^https://[^/]+`))
)

func oneOf(words ...string) fcmShape {
	return fcmShape{fits: func(v any) bool { s, ok := v.(string); return ok && slices.Contains(words, s) }}
}

func matching(p *regexp.Regexp) fcmShape {
	return fcmShape{fits: func(v any) bool { s, ok := v.(string); return ok && p.MatchString(s) }}
}

// violations are all faults of a request's body, by the paths of Google's
// fields.
func violations(body []byte) []violation {
	var req map[string]any
	if json.Unmarshal(body, &req) != nil {
		return []violation{{"", "Invalid JSON payload received."}}
	}
	root := fcmShape{fields: map[string]fcmShape{"message": fcmMessage, "validate_only": isBool}}
	vs := root.violations("", req)
	if _, ok := req["message"].(map[string]any); !ok && len(vs) == 0 {
		vs = append(vs, violation{"message", "Request must have a message"})
	}
	return vs
}

func (s *fcmShape) violations(path string, v any) (vs []violation) {
	wrong := violation{path, fmt.Sprintf("Invalid value at '%s'", path)}
	switch {
	case s.fits != nil:
		if !s.fits(v) {
			return []violation{wrong}
		}
	case s.list != nil:
		items, ok := v.([]any)
		if !ok {
			return []violation{wrong}
		}
		for i, item := range items {
			vs = append(vs, s.list.violations(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	default:
		object, ok := v.(map[string]any)
		if !ok {
			return []violation{wrong}
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			vs = append(vs, s.member(path, key, object[key])...)
		}
	}
	return vs
}

func (s *fcmShape) member(path, key string, v any) []violation {
	at := strings.TrimPrefix(path+"."+key, ".")
	if s.values != nil {
		return s.values.violations(at, v)
	}
	field, known := s.fields[snake(key)]
	if !known {
		return []violation{{path, fmt.Sprintf("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", key, path)}}
	}
	return field.violations(at, v)
}

// snake writes a name of camelCase as the table has it.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
