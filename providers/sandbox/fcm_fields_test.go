package sandbox

import (
	"strings"
	"testing"
)

func TestGoogleNamesTheFaultyFields(t *testing.T) {
	tests := map[string]struct{ message, want string }{
		"all is well":              {`{"token":"t","android":{"priority":"HIGH","ttl":"3.5s","notification":{"color":"#00aaff"}}}`, ""},
		"names in camelCase":       {`{"android":{"collapseKey":"k","directBootOk":true,"notification":{"channelId":"c"}}}`, ""},
		"a name nobody knows":      {`{"android":{"loud":true}}`, "message.android"},
		"the wrong type":           {`{"data":{"n":1},"android":{"notification":{"sticky":"yes"}}}`, "message.android.notification.sticky message.data.n"},
		"words it lacks":           {`{"android":{"priority":"urgent","notification":{"visibility":"public"}}}`, "message.android.notification.visibility message.android.priority"},
		"a duration without s":     {`{"android":{"ttl":"3600"}}`, "message.android.ttl"},
		"a list with one bad item": {`{"android":{"notification":{"vibrate_timings":["1s",2]}}}`, "message.android.notification.vibrate_timings[1]"},
		"a label too long":         {`{"fcm_options":{"analytics_label":"` + strings.Repeat("x", 51) + `"}}`, "message.fcm_options.analytics_label"},
		"a link over http":         {`{"webpush":{"fcm_options":{"link":"http://x"}}}`, "message.webpush.fcm_options.link"},
		"a payload in words":       {`{"apns":{"payload":"aps"}}`, "message.apns.payload"},
		"no message":               {`null`, "message"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var fields []string
			for _, v := range violations([]byte(`{"message":` + tt.message + `}`)) {
				fields = append(fields, v.Field)
			}
			if got := strings.Join(fields, " "); got != tt.want {
				t.Errorf("violations at %q, want %q", got, tt.want)
			}
		})
	}
}
