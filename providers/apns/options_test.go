package apns

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

func TestOverridesNameEveryFault(t *testing.T) {
	activity := `"push_type":"liveactivity","live_activity":`
	providertest.Overrides(t, CheckOverrides, map[string]string{
		// all is well
		`{"push_type":"alert","priority":1,"badge":0,"sound":"","thread_id":"t","relevance_score":0.5,"interruption_level":"time-sensitive"}`: "",
		// nothing at all
		`{}`: "",
		// no object
		`[]`: ".",
		// words of another provider
		`{"channel_id":"x","android":{}}`: "channel_id android",
		// wrong types
		`{"badge":"1","sound":5,"mutable_content":1,"loc_args":"x"}`: "badge sound mutable_content loc_args",
		// a push type nobody has heard of
		`{"push_type":"telepathy","priority":3}`: "push_type",
		// a priority nobody has heard of
		`{"priority":7}`: "priority",
		// background at once
		`{"push_type":"background","priority":10}`: "priority",
		// background that makes a sound
		`{"push_type":"background","sound":"ping.caf","badge":1,"loc_key":"K"}`: "badge loc_key sound",
		// background as it should be
		`{"push_type":"background","priority":5,"content_available":true}`: "",
		// a level nobody has heard of
		`{"interruption_level":"loud"}`: "interruption_level",
		// relevance beyond one
		`{"relevance_score":1.5}`: "relevance_score",
		// less than no badge
		`{"badge":-1}`: "badge",
		// two sounds
		`{"sound":"a","critical_sound":{"name":"b"}}`: "critical_sound",
		// louder than loud
		`{"critical_sound":{"volume":2}}`: "critical_sound.volume",
		// arguments without a key
		`{"loc_args":["a"],"title_loc_args":["b"],"subtitle_loc_args":[]}`: "loc_args subtitle_loc_args title_loc_args",
		// a collapse id too long
		`{"collapse_id":"` + strings.Repeat("x", 65) + `"}`: "collapse_id",
		// a collapse id that breaks a header
		`{"collapse_id":"a\r\nb"}`: "collapse_id",
		// a ttl that has passed
		`{"ttl_seconds":-1}`: "ttl_seconds",
		// a topic with a space
		`{"topic":"com example"}`: "topic",
		// a topic of another push type
		`{"push_type":"voip","topic":"com.example.app"}`: "topic",
		// a token that is none
		`{"token":"xyz"}`: "token",
		// an activity without content
		`{"push_type":"liveactivity"}`: "live_activity",
		// content without an activity
		`{"live_activity":{"event":"end"}}`: "live_activity",
		// an event nobody has heard of
		`{` + activity + `{"event":"pause","content_state":{}}}`: "live_activity.event",
		// an update that says nothing
		`{` + activity + `{"event":"update"}}`: "live_activity.content_state",
		// content that is no object
		`{` + activity + `{"event":"update","content_state":[1]}}`: "live_activity.content_state",
		// a start that lacks all
		`{` + activity + `{"event":"start"}}`: "live_activity.attributes live_activity.attributes_type live_activity.content_state",
		// an update with a start's words
		`{` + activity + `{"event":"update","content_state":{},"attributes_type":"A"}}`: "live_activity.attributes",
		// an update that goes away
		`{` + activity + `{"event":"update","content_state":{},"dismissal_date":1}}`: "live_activity.dismissal_date",
		// an activity before all time
		`{` + activity + `{"event":"end","timestamp":-1}}`: "live_activity.timestamp",
		// a start as it should be
		`{` + activity + `{"event":"start","content_state":{"a":1},"attributes_type":"A","attributes":{},"stale_date":1}}`: "",
		// an end as it should be
		`{` + activity + `{"event":"end","dismissal_date":1}}`: "",
	})
}

// TestEachPushTypeIsWhatAppleWants holds what is sent against what Apple's
// documents ask of the headers and of aps.
func TestEachPushTypeIsWhatAppleWants(t *testing.T) {
	accepted := time.Unix(1_800_000_000, 0)
	tests := map[string]struct {
		overrides string
		class     push.Class
		headers   string // topic, push type, priority, expiration (0: never stored), collapse id
		aps       string
	}{
		"nothing said": {
			`{}`, push.Transactional, "com.example.app alert 10 1800003600 c",
			`{"alert":{"title":"T","body":"B"},"sound":"default","mutable-content":1}`,
		},
		"news may wait": {
			`{}`, push.Marketing, "com.example.app alert 5 1800003600 c",
			`{"alert":{"title":"T","body":"B"},"sound":"default","mutable-content":1}`,
		},
		"all the words of an alert": {
			`{"priority":1,"collapse_id":"other","ttl_seconds":60,"badge":0,"sound":"ping.caf","thread_id":"t","category":"c",
			  "target_content_id":"w","interruption_level":"time-sensitive","relevance_score":0.25,"filter_criteria":"f",
			  "mutable_content":false,"content_available":true,"subtitle":"S","title_loc_key":"TK","title_loc_args":["1"],
			  "subtitle_loc_key":"SK","subtitle_loc_args":["2"],"loc_key":"BK","loc_args":["3"],"launch_image":"L"}`,
			push.Transactional, "com.example.app alert 1 1800000060 other",
			`{"alert":{"title":"T","body":"B","subtitle":"S","title-loc-key":"TK","title-loc-args":["1"],"subtitle-loc-key":"SK",
			  "subtitle-loc-args":["2"],"loc-key":"BK","loc-args":["3"],"launch-image":"L"},"badge":0,"sound":"ping.caf","thread-id":"t",
			  "category":"c","target-content-id":"w","interruption-level":"time-sensitive","relevance-score":0.25,"filter-criteria":"f",
			  "content-available":1}`,
		},
		"through silence": {
			`{"critical_sound":{"volume":0.5},"interruption_level":"critical"}`, push.OTP, "com.example.app alert 10 1800003600 c",
			`{"alert":{"title":"T","body":"B"},"sound":{"critical":1,"name":"default","volume":0.5},"interruption-level":"critical","mutable-content":1}`,
		},
		"without a sound, now or never": {
			`{"sound":"","ttl_seconds":0}`, push.Chat, "com.example.app alert 10 1 c",
			`{"alert":{"title":"T","body":"B"},"mutable-content":1}`,
		},
		"background": {
			`{"push_type":"background"}`, push.OTP, "com.example.app background 5 1800003600 c", `{"content-available":1}`,
		},
		"voip": {
			`{"push_type":"voip","ttl_seconds":0}`, push.Call, "com.example.app.voip voip 10 1 c",
			`{"alert":{"title":"T","body":"B"},"sound":"default","mutable-content":1}`,
		},
		"location":     {`{"push_type":"location"}`, push.Chat, "com.example.app.location-query location 10 1800003600 c", `{}`},
		"complication": {`{"push_type":"complication"}`, push.Chat, "com.example.app.complication complication 10 1800003600 c", `{}`},
		"pushtotalk":   {`{"push_type":"pushtotalk"}`, push.Call, "com.example.app.voip-ptt pushtotalk 10 1 c", `{}`},
		"widgets":      {`{"push_type":"widgets"}`, push.Marketing, "com.example.app.push-type.widgets widgets 5 1800003600 c", `{"content-changed":true}`},
		"controls":     {`{"push_type":"controls"}`, push.Chat, "com.example.app.push-type.controls controls 10 1800003600 c", `{"content-changed":true}`},
		"fileprovider": {`{"push_type":"fileprovider"}`, push.Chat, "com.example.app.pushkit.fileprovider fileprovider 10 1800003600 c", `{}`},
		"an activity begins": {
			`{"push_type":"liveactivity","live_activity":{"event":"start","content_state":{"score":1},"attributes_type":"Match","attributes":{"home":"A"}}}`,
			push.Chat, "com.example.app.push-type.liveactivity liveactivity 10 1800003600 c",
			`{"event":"start","timestamp":1800000000,"content-state":{"score":1},"attributes-type":"Match","attributes":{"home":"A"},
			  "alert":{"title":"T","body":"B"},"sound":"default"}`,
		},
		"an activity goes on": {
			`{"push_type":"liveactivity","priority":5,"live_activity":{"event":"update","content_state":{"score":2},"timestamp":7,"stale_date":9}}`,
			push.Chat, "com.example.app.push-type.liveactivity liveactivity 5 1800003600 c",
			`{"event":"update","timestamp":7,"content-state":{"score":2},"stale-date":9}`,
		},
		"an activity ends": {
			`{"push_type":"liveactivity","live_activity":{"event":"end","dismissal_date":9}}`,
			push.Chat, "com.example.app.push-type.liveactivity liveactivity 10 1800003600 c",
			`{"event":"end","timestamp":1800000000,"dismissal-date":9}`,
		},
	}
	type request struct {
		headers string
		aps     any
	}
	got := make(chan request, 1)
	s := service(t)
	s.Accept = func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Aps any }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("payload: %v", err)
		}
		h := r.Header.Get
		got <- request{strings.Join([]string{
			h("apns-topic"), h("apns-push-type"), h("apns-priority"), h("apns-expiration"), h("apns-collapse-id"),
		}, " "), body.Aps}
		w.Header().Set("apns-id", "A1")
	}
	p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := CheckOverrides([]byte(tt.overrides)); err != nil {
				t.Fatal(err)
			}
			d := delivery("n1.0.0")
			d.Notification = &push.Notification{
				App: "demo", ID: "n1", Class: tt.class, Title: "T", Body: "B", CollapseKey: "c",
				AcceptedAt: accepted, ExpiresAt: accepted.Add(time.Hour),
				Overrides: map[string]json.RawMessage{"apns": json.RawMessage(tt.overrides), "fcm": json.RawMessage(`{"x":1}`)},
			}
			if _, err := p.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			r := <-got
			if r.headers != tt.headers {
				t.Errorf("headers = %s, want %s", r.headers, tt.headers)
			}
			var want any
			if err := json.Unmarshal([]byte(tt.aps), &want); err != nil {
				t.Fatal(err)
			}
			if a, b := fmt.Sprint(r.aps), fmt.Sprint(want); a != b {
				t.Errorf("aps = %s\nwant %s", a, b)
			}
		})
	}
}

func TestVoIPMayWeighMore(t *testing.T) {
	p, err := New(credentials(t))
	if err != nil {
		t.Fatal(err)
	}
	for overrides, limit := range map[string]int{`{}`: 4096, `{"push_type":"voip"}`: 5120} {
		for _, over := range []int{0, 1} {
			d := delivery("n1.0.0")
			d.Overrides = map[string]json.RawMessage{"apns": json.RawMessage(overrides)}
			w, err := p.Weigh(d)
			if err != nil || w.Limit != limit {
				t.Fatalf("%s: Weigh() = %+v, %v", overrides, w, err)
			}
			n := *d.Notification
			n.Body += strings.Repeat("x", limit-w.Bytes+over)
			d.Notification = &n
			if w, err = p.Weigh(d); w.Bytes != limit+over || (err != nil) != (over == 1) {
				t.Errorf("%s: Weigh() of %d bytes = %+v, %v", overrides, limit+over, w, err)
			}
		}
	}
}

func TestOverridesThatTheDoorDidNotSeeAreRefused(t *testing.T) {
	p, err := New(credentials(t))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{"apns": json.RawMessage(`{"push_type":"telepathy"}`)}
	if _, err := p.Send(t.Context(), d); !errors.Is(err, push.ErrRejected) || !strings.Contains(err.Error(), "push_type") {
		t.Errorf("Send() error = %v, want rejected, with the field", err)
	}
}

func TestAnOverriddenTokenCostsTheDeviceNothing(t *testing.T) {
	for _, answer := range []http.HandlerFunc{
		providertest.JSON(410, `{"reason":"Unregistered","timestamp":1700000000000}`),
		providertest.JSON(400, `{"reason":"BadDeviceToken"}`),
	} {
		s := service(t)
		s.Accept = answer
		p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"apns": json.RawMessage(`{"token":"ab12"}`)}
		if _, err := p.Send(t.Context(), d); !errors.Is(err, push.ErrRejected) {
			t.Errorf("Send() error = %v, want rejected: the device has another token", err)
		}
	}
}

func TestATopicOfItsOwnIsNoFaultOfTheCredentials(t *testing.T) {
	s := service(t)
	s.Accept = providertest.JSON(400, `{"reason":"TopicDisallowed"}`)
	p := providertest.HTTP(s).Start(t, providertest.Accepts).Provider
	for overrides, want := range map[string]push.Scope{`{}`: push.ScopeProvider, `{"push_type":"voip"}`: push.ScopeToken, `{"topic":"com.example.other"}`: push.ScopeToken} {
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"apns": json.RawMessage(overrides)}
		_, err := p.Send(t.Context(), d)
		if !errors.Is(err, push.ErrCredentials) || push.ScopeOf(err) != want {
			t.Errorf("%s: Send() error = %v that binds %q, want credentials that bind %q", overrides, err, push.ScopeOf(err), want)
		}
	}
}
