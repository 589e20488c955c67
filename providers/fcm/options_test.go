package fcm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// everything has each of the fields at least once.
const everything = `{"image":"https://example.com/a.png","analytics_label":"spring",
 "android":{"collapse_key":"k","priority":"normal","ttl":"60s","restricted_package_name":"com.example","direct_boot_ok":true,
  "fcm_options":{"analytics_label":"a"},
  "notification":{"title":"AT","body":"AB","icon":"i","color":"#00aaff","sound":"s","tag":"t","click_action":"c","body_loc_key":"bk",
   "body_loc_args":["1"],"title_loc_key":"tk","title_loc_args":["2"],"channel_id":"orders","image":"https://example.com/b.png",
   "ticker":"x","sticky":true,"event_time":"2026-03-01T12:00:00Z","local_only":true,"notification_priority":"PRIORITY_MAX",
   "default_sound":true,"default_vibrate_timings":true,"default_light_settings":true,"vibrate_timings":["0.5s","1s"],
   "visibility":"SECRET","notification_count":3,"proxy":"DENY",
   "light_settings":{"color":"#ff0000","light_on_duration":"0.5s","light_off_duration":"1s"}}},
 "apns":{"headers":{"apns-priority":"5"},"payload":{"aps":{"badge":2,"category":"c","mutable-content":1},"own":{"a":[1]}},
  "live_activity_token":"ab","fcm_options":{"analytics_label":"b","image":"https://example.com/c.png"}},
 "webpush":{"headers":{"Urgency":"low","TTL":"5","Topic":"t"},"data":{"only":"web"},
  "notification":{"icon":"/i.png","requireInteraction":true,"actions":[{"action":"a","title":"A"}],"mine":1},
  "fcm_options":{"link":"https://example.com/x"}}}`

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		// everything at once
		everything: "",
		// no object
		`"loud"`: ".",
		// words of another vendor
		`{"push_type":"voip","android":{"channel_id":"x"}}`: "push_type android.channel_id",
		// wrong types
		`{"data_only":1,"android":{"notification":{"sticky":"yes","notification_count":"3"}}}`: "data_only android.notification.sticky android.notification.notification_count",
		// an image that is none
		`{"image":"a.png","apns":{"fcm_options":{"image":"x"}}}`: "apns.fcm_options.image image",
		// a label with a space
		`{"analytics_label":"a b","android":{"fcm_options":{"analytics_label":"` + strings.Repeat("x", 51) + `"}}}`: "analytics_label android.fcm_options.analytics_label",
		// words Google lacks
		`{"android":{"priority":"urgent","notification":{"notification_priority":"HIGH","visibility":"public","proxy":"NO"}}}`: "android.notification.notification_priority android.notification.proxy android.notification.visibility android.priority",
		// durations without s
		`{"android":{"ttl":"60","notification":{"vibrate_timings":["1"]}}}`: "android.notification.vibrate_timings android.ttl",
		// longer than four weeks
		`{"android":{"ttl":"2419201s"}}`: "android.ttl",
		// a color by its name
		`{"android":{"notification":{"color":"blue"}}}`: "android.notification.color",
		// a light half described
		`{"android":{"notification":{"light_settings":{"color":"#fff"}}}}`: "android.notification.light_settings.color android.notification.light_settings.light_off_duration android.notification.light_settings.light_on_duration",
		// arguments without a key
		`{"android":{"notification":{"title_loc_args":["a"],"body_loc_args":["b"]}}}`: "android.notification.body_loc_args android.notification.title_loc_args",
		// a time that is none
		`{"android":{"notification":{"event_time":"noon"}}}`: "android.notification.event_time",
		// less than none
		`{"android":{"notification":{"notification_count":-1}}}`: "android.notification.notification_count",
		// a header Apple lacks
		`{"apns":{"headers":{"authorization":"x"}}}`: "apns.headers.authorization",
		// no aps
		`{"apns":{"payload":{"own":1}}}`: "apns.payload",
		// aps of wrong types
		`{"apns":{"payload":{"aps":{"badge":"2"}}}}`: "apns.payload.aps",
		// headers browsers lack
		`{"webpush":{"headers":{"Urgency":"soon","Cookie":"x"}}}`: "webpush.headers.Cookie webpush.headers.Urgency",
		// a link that is no https
		`{"webpush":{"fcm_options":{"link":"http://x"}}}`: "webpush.fcm_options.link",
		// writing in no direction
		`{"webpush":{"notification":{"dir":"up"}}}`: "webpush.notification.dir",
		// data only, and shown
		`{"data_only":true,"image":"https://e.com/a","android":{"notification":{}},"webpush":{"notification":{}}}`: "android.notification image webpush.notification",
		// data only
		`{"data_only":true,"android":{"priority":"high","direct_boot_ok":true}}`: "",
	})
}

func TestOverridesGoWhereGoogleWantsThem(t *testing.T) {
	tests := map[string]struct {
		overrides string
		want      map[string]string // by path; "" is not there
	}{
		"nothing said": {`{}`, map[string]string{
			"notification.title": "Shipped", "android.priority": "high", "android.ttl": "3600s", "android.notification.tag": "n1",
			"apns.headers.apns-collapse-id": "n1", "apns.headers.apns-priority": "", "webpush": "", "fcm_options": "",
		}},
		"data only": {`{"data_only":true}`, map[string]string{
			"notification": "", "android.notification": "", "data.order": "8812", "data.herald_id": "n1.0.0",
			"apns.headers.apns-push-type": "background", "apns.headers.apns-priority": "5", "apns.payload.aps.content-available": "1",
		}},
		"a ttl beyond the notification's": {`{"android":{"ttl":"7200s"}}`, map[string]string{"android.ttl": "3600s"}},
		"now or never":                    {`{"android":{"ttl":"0s"}}`, map[string]string{"android.ttl": "0s"}},
		"everything": {everything, map[string]string{
			"notification.title": "Shipped", "notification.image": "https://example.com/a.png", "fcm_options.analytics_label": "spring",
			"android.collapse_key": "k", "android.priority": "normal", "android.ttl": "60s", "android.direct_boot_ok": "true",
			"android.restricted_package_name": "com.example", "android.fcm_options.analytics_label": "a",
			"android.notification.title": "AT", "android.notification.channel_id": "orders", "android.notification.tag": "t",
			"android.notification.notification_priority": "PRIORITY_MAX", "android.notification.visibility": "SECRET",
			"android.notification.vibrate_timings": "[0.500000000s 1s]", "android.notification.notification_count": "3",
			"android.notification.event_time": "2026-03-01T12:00:00.000000000Z", "android.notification.proxy": "DENY",
			"android.notification.light_settings.light_on_duration": "0.500000000s", "android.notification.light_settings.color.red": "1",
			"apns.headers.apns-priority": "5", "apns.headers.apns-collapse-id": "n1", "apns.payload.aps.badge": "2",
			"apns.payload.own.a": "[1]", "apns.live_activity_token": "ab", "apns.fcm_options.image": "https://example.com/c.png",
			"webpush.headers.Urgency": "low", "webpush.data.only": "web", "webpush.data.herald_id": "n1.0.0", "webpush.data.order": "8812",
			"webpush.notification.requireInteraction": "true", "webpush.notification.mine": "1", "webpush.fcm_options.link": "https://example.com/x",
		}},
	}
	got := make(chan map[string]any, 1)
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Message map[string]any }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("body: %v", err)
		}
		got <- body.Message
		providertest.JSON(200, `{"name":"projects/p1/messages/1"}`)(w, r)
	}
	p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := overridden(tt.overrides)
			if _, err := p.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			m := <-got
			for path, want := range tt.want {
				if v := at(m, path); v != want {
					t.Errorf("%s = %q, want %q", path, v, want)
				}
			}
		})
	}
}

func TestOverridesWeighAndAreRefusedAtSending(t *testing.T) {
	p := providertest.HTTP(service(t)).Start(t, providertest.Accepts).Provider
	plain, err := p.Weigh(overridden(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	const said = `{"image":"https://example.com/a.png"}`
	more, err := p.Weigh(overridden(said))
	if err != nil || more.Bytes != plain.Bytes+len(said)-len(`{}`) {
		t.Errorf("Weigh() = %d bytes, %v; without overrides %d", more.Bytes, err, plain.Bytes)
	}
	d := overridden(`{"android":{"priority":"urgent"}}`)
	_, weighErr := p.Weigh(d)
	_, sendErr := p.Send(t.Context(), d)
	if !errors.Is(weighErr, push.ErrRejected) || fmt.Sprint(weighErr) != fmt.Sprint(sendErr) {
		t.Errorf("Weigh() error = %v, Send() error = %v, want the same refusal", weighErr, sendErr)
	}
}

func overridden(overrides string) *push.Delivery {
	d := delivery("n1.0.0")
	d.Data = map[string]string{"order": "8812"}
	d.ExpiresAt = time.Now().Add(time.Hour)
	d.Overrides = map[string]json.RawMessage{"fcm": json.RawMessage(overrides)}
	return d
}

// at reads a path of a message; "" is what is not there.
func at(m map[string]any, path string) string {
	var v any = m
	for key := range strings.SplitSeq(path, ".") {
		inner, _ := v.(map[string]any)
		if v = inner[key]; v == nil {
			return ""
		}
	}
	return fmt.Sprint(v)
}
