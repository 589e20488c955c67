package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestCreateNotificationNamesTheFaultyFields(t *testing.T) {
	list := func(n int) string { return `["d` + strings.Repeat(`","d`, n-1) + `"]` }
	tests := map[string]struct {
		body string
		want string // fields, in order
	}{
		"nothing at all":                 {`{}`, "to title"},
		"title missing":                  {`{"to":{"device":"d1"},"data":{"a":"b"}}`, "title"},
		"title is a number":              {`{"to":{"device":"d1"},"title":5}`, "title"},
		"nobody to reach":                {`{"to":{},"title":"Hi"}`, "to"},
		"to is a text":                   {`{"to":"d1","title":"Hi"}`, "to"},
		"two audiences at once":          {`{"to":{"device":"d1","user":"u"},"title":"Hi"}`, "to"},
		"two audiences, one faulty":      {`{"to":{"device":"","all":true},"title":"Hi"}`, "to.device to"},
		"an audience given twice":        {`{"to":{"device":"d1"},"to":{"user":"u"},"title":"Hi"}`, "to"},
		"near what is not on the globe":  {`{"to":{"near":{"lat":91,"lon":181,"radius_m":0}},"title":"Hi"}`, "to.near.lat to.near.lon to.near.radius_m"},
		"near nothing":                   {`{"to":{"near":{}},"title":"Hi"}`, "to.near.lat to.near.lon to.near.radius_m"},
		"a polygon of two corners":       {`{"to":{"polygon":[{"lat":1,"lon":2},{"lat":2,"lon":2}]},"title":"Hi"}`, "to.polygon"},
		"a polygon that meets itself":    {`{"to":{"polygon":[{"lat":0,"lon":0},{"lat":1,"lon":1},{"lat":0,"lon":1},{"lat":1,"lon":0}]},"title":"Hi"}`, "to.polygon"},
		"a corner that is nowhere":       {`{"to":{"polygon":[{"lat":0,"lon":0},{"lat":1},{"lat":0,"lon":1}]},"title":"Hi"}`, "to.polygon[1].lon"},
		"a place that is none":           {`{"to":{"place":"atlantis"},"title":"Hi"}`, "to.place"},
		"a place and a circle":           {`{"to":{"place":"shop-1","near":{"lat":1,"lon":2,"radius_m":3}},"title":"Hi"}`, "to"},
		"a filter that is no expression": {`{"to":{"filter":"country == DE"},"title":"Hi"}`, "to.filter"},
		"a filter beside a device":       {`{"to":{"filter":"country == 'DE'","device":"d1"},"title":"Hi"}`, "to"},
		"a filter beside tag and all":    {`{"to":{"filter":"country == 'DE'","tag":"a","all":true},"title":"Hi"}`, "to"},
		"all is not so":                  {`{"to":{"all":false},"title":"Hi"}`, "to.all"},
		"a list of none":                 {`{"to":{"devices":[]},"title":"Hi"}`, "to.devices"},
		"a list too long":                {`{"to":{"devices":` + list(maxAudience+1) + `},"title":"Hi"}`, "to.devices"},
		"bad names in a list":            {`{"to":{"devices":["ok","no/slash","",5]},"title":"Hi"}`, "to.devices[3] to.devices[1] to.devices[2]"},
		"a tag with a line break":        {`{"to":{"tag":"a\nb"},"title":"Hi"}`, "to.tag"},
		"unknown audience":               {`{"to":{"device_id":"d1"},"title":"Hi"}`, "to.device_id"},
		"unknown class":                  {`{"to":{"device":"d1"},"title":"Hi","class":"gossip"}`, "class"},
		"id with a dot":                  {`{"id":"a.b","to":{"device":"d1"},"title":"Hi"}`, "id"},
		"id too long":                    {`{"id":"` + strings.Repeat("x", 65) + `","to":{"device":"d1"},"title":"Hi"}`, "id"},
		"ttl of nothing":                 {`{"to":{"device":"d1"},"title":"Hi","ttl_seconds":0}`, "ttl_seconds"},
		"ttl has passed":                 {`{"to":{"device":"d1"},"title":"Hi","ttl_seconds":-60}`, "ttl_seconds"},
		"ttl beyond four weeks":          {`{"to":{"device":"d1"},"title":"Hi","ttl_seconds":2419201}`, "ttl_seconds"},
		"ttl in words":                   {`{"to":{"device":"d1"},"title":"Hi","ttl_seconds":"1h"}`, "ttl_seconds"},
		"deliver_at is no time":          {`{"to":{"device":"d1"},"title":"Hi","deliver_at":"noon"}`, "deliver_at"},
		"deliver_at without a zone":      {`{"to":{"device":"d1"},"title":"Hi","deliver_at":"2026-03-01T13:00:00"}`, "deliver_at"},
		"deliver_at next year":           {`{"to":{"device":"d1"},"title":"Hi","deliver_at":"2027-03-01T13:00:00Z"}`, "deliver_at"},
		"deliver_at last year":           {`{"to":{"device":"d1"},"title":"Hi","deliver_at":"2025-03-01T13:00:00Z"}`, "deliver_at"},
		"data with a number":             {`{"to":{"device":"d1"},"title":"Hi","data":{"n":1,"o":{}}}`, "data.n data.o"},
		"data without a name":            {`{"to":{"device":"d1"},"title":"Hi","data":{"":"v"}}`, "data"},
		"collapse_key too long":          {`{"to":{"device":"d1"},"title":"Hi","collapse_key":"` + strings.Repeat("k", 65) + `"}`, "collapse_key"},
		"collapse_key breaks a header":   {`{"to":{"device":"d1"},"title":"Hi","collapse_key":"a\r\nb"}`, "collapse_key"},
		"campaign too long":              {`{"to":{"device":"d1"},"title":"Hi","campaign":"` + strings.Repeat("k", 65) + `"}`, "campaign"},
		"a body no vendor takes":         {`{"to":{"device":"d1"},"title":"Hi","body":"` + strings.Repeat("x", 4095) + `"}`, "body"},
		"a title no vendor takes":        {`{"to":{"device":"d1"},"title":"` + strings.Repeat("x", 4097) + `"}`, "title"},
		"data no vendor takes":           {`{"to":{"device":"d1"},"title":"Hi","data":{"k":"` + strings.Repeat("x", 4094) + `"}}`, "data"},
		"a road nobody knows":            {`{"to":{"device":"d1"},"title":"Hi","route":{"roads":["live","pigeon"]}}`, "route.roads[1]"},
		"a road twice":                   {`{"to":{"device":"d1"},"title":"Hi","route":{"roads":["live","auto","live"]}}`, "route.roads[2]"},
		"sms for a class without it":     {`{"to":{"device":"d1"},"title":"Hi","route":{"roads":["sms"]}}`, "route.roads[0]"},
		"until the end of the world":     {`{"to":{"device":"d1"},"title":"Hi","route":{"until":"clicked"}}`, "route.until"},
		"waits too long":                 {`{"to":{"device":"d1"},"title":"Hi","route":{"wait_seconds":3601}}`, "route.wait_seconds"},
		"too many roads at once":         {`{"to":{"device":"d1"},"title":"Hi","route":{"parallel":5}}`, "route.parallel"},
		"no road at once":                {`{"to":{"device":"d1"},"title":"Hi","route":{"parallel":0}}`, "route.parallel"},
		"overrides for nobody":           {`{"to":{"device":"d1"},"title":"Hi","overrides":{"pigeon":{},"live":{}}}`, "overrides.live overrides.pigeon"},
		"overrides of the wrong type":    {`{"to":{"device":"d1"},"title":"Hi","overrides":{"apns":"loud","fcm":null}}`, "overrides.apns overrides.fcm"},
		"overrides that are a list":      {`{"to":{"device":"d1"},"title":"Hi","overrides":[]}`, "overrides"},
		"every fault of two providers":   {`{"to":{"device":"d1"},"title":"Hi","overrides":{"fcm":{"x":1},"apns":{"b":1,"a":1,"word":1}}}`, "overrides.apns.a overrides.apns.b overrides.fcm.x"},
		"overrides without an end":       {`{"to":{"device":"d1"},"title":"Hi","overrides":{"apns":{"word":"` + strings.Repeat("x", maxOverrides) + `"}}}`, "overrides"},
		"a token for many devices":       {`{"to":{"user":"u"},"title":"Hi","overrides":{"apns":{"token":"ab"}}}`, "overrides.apns.token"},
		"a word from somewhere else":     {`{"to":{"device":"d1"},"title":"Hi","priority":"high"}`, "priority"},
		"bytes that are not UTF-8":       {"{\"to\":{\"device\":\"d1\"},\"title\":\"H\xff\",\"data\":{\"k\":\"\xc3\"}}", "title data.k"},
		"a misspelled word of the route": {`{"to":{"device":"d1"},"title":"Hi","route":{"road":["live"],"until":5}}`, "route.road route.until"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			for _, path := range []string{"/v1/notifications", "/v1/notifications:validate"} {
				got := h.ask("POST", path, adminKey, tt.body)
				if got.status != http.StatusUnprocessableEntity {
					t.Fatalf("%s: status = %d, want 422: %s", path, got.status, got.raw)
				}
				var fields []string
				for _, f := range got.problem(t).Faults {
					fields = append(fields, f.Field)
				}
				if s := strings.Join(fields, " "); s != tt.want {
					t.Errorf("%s: faults at %q, want %q: %s", path, s, tt.want, got.raw)
				}
			}
			if h.last != nil {
				t.Errorf("a faulty notification was queued: %+v", h.last)
			}
		})
	}
}

func TestCreateNotificationTakesEveryAudience(t *testing.T) {
	tests := map[string]struct {
		to   string
		want push.Audience
	}{
		"a device":                {`{"device":"phone-1"}`, push.Audience{Device: "phone-1"}},
		"devices, each once":      {`{"devices":["a","b","a"]}`, push.Audience{Devices: []string{"a", "b"}}},
		"a user":                  {`{"user":"Ännchen 7"}`, push.Audience{User: "Ännchen 7"}},
		"users":                   {`{"users":["u1","u2"]}`, push.Audience{Users: []string{"u1", "u2"}}},
		"a tag":                   {`{"tag":"beta"}`, push.Audience{Tag: "beta"}},
		"everyone":                {`{"all":true}`, push.Audience{All: true}},
		"a filter":                {`{"filter":"country == 'DE'"}`, push.Audience{Filter: "country == 'DE'"}},
		"a filter beside a tag":   {`{"filter":"country == 'DE'","tag":"beta"}`, push.Audience{Filter: "country == 'DE'", Tag: "beta"}},
		"who is near":             {`{"near":{"lat":1,"lon":2,"radius_m":3}}`, push.Audience{Near: &push.Circle{Lat: 1, Lon: 2, Radius: 3}}},
		"who is in a place, some": {`{"place":"shop-1","filter":"platform = 'ios'"}`, push.Audience{Place: "shop-1", Filter: "platform = 'ios'"}},
		"who is within corners": {
			`{"polygon":[{"lat":0,"lon":0},{"lat":1,"lon":1},{"lat":0,"lon":1},{"lat":0,"lon":0}]}`,
			push.Audience{Polygon: []push.Location{{}, {Lat: 1, Lon: 1}, {Lon: 1}}},
		},
		"a device, others null": {`{"device":"d1","user":null,"near":null}`, push.Audience{Device: "d1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.ask("POST", "/v1/notifications", sendKey, `{"to":`+tt.to+`,"title":"Hi"}`)
			if got.status != http.StatusAccepted {
				t.Fatalf("status = %d: %s", got.status, got.raw)
			}
			if !reflect.DeepEqual(h.last.To, tt.want) {
				t.Errorf("audience = %+v, want %+v", h.last.To, tt.want)
			}
		})
	}
}

func TestCreateNotificationFillsInWhatIsLeftOut(t *testing.T) {
	h := open(t)
	got := h.ask("POST", "/v1/notifications", sendKey, `{"to":{"device":"d1"},"title":"Hi"}`)
	var p push.Progress
	if err := json.Unmarshal([]byte(got.raw), &p); err != nil || got.status != http.StatusAccepted {
		t.Fatalf("%d %s: %v", got.status, got.raw, err)
	}
	n := h.last
	if n.App != "demo" || n.Class != push.Transactional || !n.AcceptedAt.Equal(noon) || !n.ExpiresAt.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("notification = %+v, want it transactional and good for a day", n)
	}
	if !validNotificationID(n.ID) || n.ID != p.ID {
		t.Errorf("id = %q, answered %q; want one made here", n.ID, p.ID)
	}
	if loc := got.header.Get("Location"); loc != "/v1/notifications/"+n.ID {
		t.Errorf("Location = %q", loc)
	}
}

func TestDeliverAt(t *testing.T) {
	tests := map[string]struct {
		at            string
		want, expires time.Time
	}{
		"ahead":            {"2026-03-01T14:00:00+01:00", noon.Add(time.Hour), noon.Add(time.Hour + time.Minute)},
		"a moment ago":     {"2026-03-01T11:59:59Z", time.Time{}, noon.Add(time.Minute)},
		"30 days ahead":    {"2026-03-31T12:00:00Z", noon.AddDate(0, 0, 30), noon.AddDate(0, 0, 30).Add(time.Minute)},
		"given as nothing": {"", time.Time{}, noon.Add(time.Minute)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			body := fmt.Sprintf(`{"to":{"device":"d1"},"title":"Hi","ttl_seconds":60,"deliver_at":%q}`, tt.at)
			if got := h.ask("POST", "/v1/notifications", sendKey, body); got.status != http.StatusAccepted {
				t.Fatalf("status = %d: %s", got.status, got.raw)
			}
			if !h.last.DeliverAt.Equal(tt.want) || !h.last.ExpiresAt.Equal(tt.expires) {
				t.Errorf("deliver at %v, expires %v; want %v, %v", h.last.DeliverAt, h.last.ExpiresAt, tt.want, tt.expires)
			}
		})
	}
}

func TestSameIDAgain(t *testing.T) {
	first := `{"id":"n1","to":{"device":"d1"},"title":"Hi","data":{"a":"1","b":"2"}}`
	tests := map[string]struct {
		body string
		want int
	}{
		"the same bytes":              {first, 202},
		"other order and white space": {`{ "data":{"b":"2","a":"1"}, "title":"Hi", "to":{"device":"d1"}, "id":"n1" }`, 202},
		"defaults spelled out":        {`{"id":"n1","to":{"device":"d1"},"title":"Hi","data":{"a":"1","b":"2"},"class":"transactional","ttl_seconds":86400,"deliver_at":null}`, 202},
		"another title":               {`{"id":"n1","to":{"device":"d1"},"title":"Ho","data":{"a":"1","b":"2"}}`, 409},
		"another audience":            {`{"id":"n1","to":{"device":"d2"},"title":"Hi","data":{"a":"1","b":"2"}}`, 409},
		"another ttl":                 {`{"id":"n1","to":{"device":"d1"},"title":"Hi","data":{"a":"1","b":"2"},"ttl_seconds":60}`, 409},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			one := h.ask("POST", "/v1/notifications", sendKey, first)
			two := h.ask("POST", "/v1/notifications", sendKey, tt.body)
			if one.status != 202 || two.status != tt.want {
				t.Fatalf("statuses = %d, %d; want 202, %d: %s", one.status, two.status, tt.want, two.raw)
			}
			if tt.want == 202 && one.raw != two.raw {
				t.Errorf("answers differ:\n%s%s", one.raw, two.raw)
			}
			if tt.want == 409 && two.problem(t).Code != "id_conflict" {
				t.Errorf("code = %q, want id_conflict", two.problem(t).Code)
			}
		})
	}
}

func TestQueueErrorsBecomeStatuses(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
		code   string
		retry  string
	}{
		"redis is away":       {fmt.Errorf("scheduler: enqueue: %w", push.ErrAway), 503, "unavailable", "1"},
		"redis hangs":         {context.DeadlineExceeded, 503, "unavailable", "1"},
		"id was used":         {push.ErrConflict, 409, "id_conflict", ""},
		"something we forgot": {errors.New("dial tcp 10.0.0.7: secret-hunter2"), 500, "internal", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.onEnqueue = func(context.Context, *push.Notification) error { return tt.err }
			got := h.ask("POST", "/v1/notifications", sendKey, `{"to":{"device":"d1"},"title":"Hi"}`)
			if p := got.problem(t); got.status != tt.status || p.Code != tt.code {
				t.Errorf("answer = %d %s, want %d %s", got.status, p.Code, tt.status, tt.code)
			}
			if got.header.Get("Retry-After") != tt.retry {
				t.Errorf("Retry-After = %q, want %q", got.header.Get("Retry-After"), tt.retry)
			}
			if strings.Contains(got.raw, "hunter2") {
				t.Errorf("the answer tells our own affairs: %s", got.raw)
			}
			if logged := strings.Count(h.log.String(), tt.err.Error()); tt.status >= 500 && logged != 1 {
				t.Errorf("the error is logged %d times, want once", logged)
			}
		})
	}
}

func TestBatchTakesWhatItCan(t *testing.T) {
	h := open(t)
	items := make([]string, maxItems)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"n-%d","to":{"device":"d1"},"title":"Hi"}`, i)
	}
	items[17] = `{"id":"n-17","to":{"device":"d1"},"titel":"Hi"}`
	before := len(h.queued)
	got := h.ask("POST", "/v1/notifications:batch", sendKey, `{"notifications":[`+strings.Join(items, ",")+`]}`)
	var res resultsResponse
	if err := json.Unmarshal([]byte(got.raw), &res); err != nil || got.status != http.StatusOK {
		t.Fatalf("%d %v: %.200s", got.status, err, got.raw)
	}
	if len(res.Results) != maxItems || len(h.queued)-before != maxItems-1 {
		t.Fatalf("%d results and %d queued, want 1000 and 999", len(res.Results), len(h.queued)-before)
	}
	for i, r := range res.Results {
		want := http.StatusAccepted
		if i == 17 {
			want = http.StatusUnprocessableEntity
		}
		if r.Index != i || r.ID != fmt.Sprintf("n-%d", i) || r.Status != want || (r.Problem == nil) != (want == 202) {
			t.Errorf("result %d = %+v, want status %d", i, r, want)
		}
	}
}

func TestBatchItemsFailForThemselves(t *testing.T) {
	tests := map[string]struct {
		items string
		want  string // statuses
	}{
		"an item is no object":      {`[5,{"to":{"all":true},"title":"Hi"}]`, "422 202"},
		"an item is null":           {`[null,{"to":{"all":true},"title":"Hi"}]`, "422 202"},
		"not UTF-8 in one":          {"[{\"to\":{\"all\":true},\"title\":\"\xff\"},{\"to\":{\"all\":true},\"title\":\"Hi\"}]", "422 202"},
		"an id that is used":        {`[{"id":"order-1","to":{"all":true},"title":"Hi"},{"id":"x","to":{"all":true},"title":"Hi"}]`, "409 202"},
		"the queue leaves for one":  {`[{"id":"away","to":{"all":true},"title":"Hi"},{"id":"x","to":{"all":true},"title":"Hi"}]`, "503 202"},
		"a panic on the way of one": {`[{"id":"panic","to":{"all":true},"title":"Hi"},{"id":"x","to":{"all":true},"title":"Hi"}]`, "500 202"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.onEnqueue = func(_ context.Context, n *push.Notification) error {
				switch n.ID {
				case "away":
					return push.ErrAway
				case "panic":
					panic("test: on purpose")
				}
				return nil
			}
			got := h.ask("POST", "/v1/notifications:batch", sendKey, `{"notifications":`+tt.items+`}`)
			var res resultsResponse
			if err := json.Unmarshal([]byte(got.raw), &res); err != nil {
				t.Fatalf("%d %v: %s", got.status, err, got.raw)
			}
			var statuses []string
			for _, r := range res.Results {
				statuses = append(statuses, fmt.Sprint(r.Status))
			}
			if s := strings.Join(statuses, " "); s != tt.want {
				t.Errorf("statuses = %s, want %s: %s", s, tt.want, got.raw)
			}
		})
	}
}

func TestBatchAsAWhole(t *testing.T) {
	item := `{"to":{"all":true},"title":"Hi"}`
	tests := map[string]struct {
		body   string
		away   bool
		status int
	}{
		"no list":           {`{}`, false, 422},
		"one too many":      {`{"notifications":[` + item + strings.Repeat(","+item, maxItems) + `]}`, false, 422},
		"the list is text":  {`{"notifications":"all"}`, false, 422},
		"a word too much":   {`{"notifications":[` + item + `],"dry_run":true}`, false, 422},
		"an item cut off":   {`{"notifications":[{"to":`, false, 400},
		"the queue is away": {`{"notifications":[` + item + "," + item + `]}`, true, 503},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if tt.away {
				h.onEnqueue = func(context.Context, *push.Notification) error { return push.ErrAway }
			}
			if got := h.ask("POST", "/v1/notifications:batch", sendKey, tt.body); got.status != tt.status {
				t.Errorf("status = %d, want %d: %.300s", got.status, tt.status, got.raw)
			}
		})
	}
}

func TestDeliveriesParameters(t *testing.T) {
	tests := map[string]struct {
		path   string
		status int
		want   string
	}{
		"all of them":              {"/v1/notifications/order-1/deliveries", 200, `"id":"order-1.0.0"`},
		"another device":           {"/v1/notifications/order-1/deliveries?device=d2", 200, `{"deliveries":[]}`},
		"nobody knows it":          {"/v1/notifications/order-9/deliveries", 404, "notification"},
		"a limit beyond":           {"/v1/notifications/order-1/deliveries?limit=1001", 422, `"field":"limit"`},
		"a limit in words":         {"/v1/notifications/order-1/deliveries?limit=ten", 422, `"field":"limit"`},
		"a device that cannot be":  {"/v1/notifications/order-1/deliveries?device=a/b", 422, `"field":"device"`},
		"an id with an escape":     {"/v1/notifications/order%2D1/deliveries", 200, `"id":"order-1.0.0"`},
		"an id that cannot be":     {"/v1/notifications/order.1/deliveries", 404, "notification"},
		"an id with a hidden part": {"/v1/notifications/order-1%2Fdeliveries", 404, "not_found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask("GET", tt.path, adminKey, "")
			if got.status != tt.status || !strings.Contains(got.raw, tt.want) {
				t.Errorf("answer = %d %s, want %d with %s", got.status, got.raw, tt.status, tt.want)
			}
		})
	}
}

func BenchmarkCreateNotification(b *testing.B) {
	w := newWorld()
	srv, err := New(DefaultConfig(), w.furnish())
	if err != nil {
		b.Fatal(err)
	}
	h := &house{world: w, Server: srv}
	body := `{"to":{"device":"d1"},"class":"transactional","title":"Shipped","body":"Your parcel is on its way",` +
		`"data":{"order":"8812"},"ttl_seconds":3600,"collapse_key":"order-8812","route":{"roads":["live","auto"],"until":"delivered","wait_seconds":30}}`
	b.ReportAllocs()
	for b.Loop() {
		if got := h.ask("POST", "/v1/notifications", sendKey, body); got.status != http.StatusAccepted {
			b.Fatal(got.raw)
		}
	}
}

func TestOverridesGoThroughInOneSpelling(t *testing.T) {
	h := open(t)
	body := func(overrides string) string {
		return `{"id":"n1","to":{"device":"d1"},"title":"Hi","overrides":` + overrides + `}`
	}
	got := h.ask("POST", "/v1/notifications", sendKey, body(`{"apns": {"word": {"z": 12345678901234567890, "a": 1.50}, "token":"ab"}}`))
	if got.status != http.StatusAccepted {
		t.Fatalf("status = %d: %s", got.status, got.raw)
	}
	if s, want := string(h.last.Overrides["apns"]), `{"token":"ab","word":{"a":1.50,"z":12345678901234567890}}`; s != want {
		t.Errorf("overrides = %s, want %s", s, want)
	}
	for name, tt := range map[string]struct {
		overrides string
		status    int
	}{
		"the same in another order": {`{"apns":{"token":"ab","word":{"a":1.50,"z":12345678901234567890}}}`, http.StatusAccepted},
		"another word":              {`{"apns":{"token":"ab","word":"other"}}`, http.StatusConflict},
		"the same for another":      {`{"fcm":{"token":"ab","word":{"a":1.50,"z":12345678901234567890}}}`, http.StatusConflict},
	} {
		if got := h.ask("POST", "/v1/notifications", sendKey, body(tt.overrides)); got.status != tt.status {
			t.Errorf("%s: status = %d, want %d: %s", name, got.status, tt.status, got.raw)
		}
	}
}
