package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// insightPaths are the pages of numbers.
var insightPaths = map[string]string{"overview": "/", "providers": "/providers", "choice": "/choice", "journeys": "/journeys"}

func TestAPageOfNumbersKeepsItsFiltersInItsLinks(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for name, path := range insightPaths {
		_, page := v.get(path + "?app=demo&window=1h&class=otp&maker=Apple&country=DE")
		for _, want := range []string{
			`<option selected>otp</option>`, `<option selected>Apple</option>`, `<option selected>DE</option>`,
			`href="` + path + `?app=demo&amp;class=otp&amp;country=DE&amp;maker=Apple&amp;window=24h"`,                    // another window
			`data-stream="/data/` + name + `/stream?app=demo&amp;class=otp&amp;country=DE&amp;maker=Apple&amp;window=1h"`, // the stream
			`.csv?app=demo&amp;class=otp&amp;country=DE&amp;maker=Apple&amp;window=1h" download`,                          // the files
			`href="` + path + `?app=demo&amp;window=1h">Clear</a>`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		for _, bad := range []string{"class=" + strings.Repeat("x", 65), "maker=a%00b", "window=1y", "app=nobody"} {
			if res, _ := v.get(path + "?" + bad); res.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s?%s: %s, want 404", path, bad, res.Status)
			}
		}
	}
}

func TestEveryPanelCanBeDownloaded(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	for name, path := range insightPaths {
		_, page := v.get(path)
		links := 0
		for part := range strings.SplitSeq(page, `class="get" href="`) {
			link, _, _ := strings.Cut(part, `"`)
			if !strings.HasPrefix(link, "/data/"+name+"/") {
				continue
			}
			links++
			res, body := v.get(strings.ReplaceAll(link, "&amp;", "&"))
			rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
			if res.StatusCode != http.StatusOK || err != nil || len(rows) < 2 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") {
				t.Errorf("GET %s: %s, %d rows, %v", link, res.Status, len(rows), err)
			}
		}
		if links < 3 {
			t.Errorf("%s has %d downloads", path, links)
		}
		for _, none := range []string{"/data/" + name + "/nosuch.csv", "/data/" + name + "/funnel", "/data/nosuch/funnel.csv"} {
			if res, _ := v.get(none); res.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s: %s, want 404", none, res.Status)
			}
		}
	}
}

func TestAPageOfNumbersWithoutItsStoreSaysSo(t *testing.T) {
	f := &fake{lively: true}
	f.away.Store(true)
	h := open(t, f)
	v := h.operator(t)
	for name, path := range insightPaths {
		if res, page := v.get(path); res.StatusCode != http.StatusOK || !strings.Contains(page, "The numbers cannot be read now") {
			t.Errorf("GET %s: %s without the notice", path, res.Status)
		}
		if res, _ := v.get("/data/" + name); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("GET /data/%s: %s, want 503", name, res.Status)
		}
	}
}

func TestFormulasAreTextsInDownloads(t *testing.T) {
	for value, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "plain": "plain", "": ""} {
		if got := cell(value); got != want {
			t.Errorf("cell(%q) = %q, want %q", value, got, want)
		}
	}
	if got := cell(-1.5); got != "-1.5" {
		t.Errorf("a number is %q", got)
	}
}

func TestALaneIsSwitchedInTheViewersName(t *testing.T) {
	f := &fake{lively: true, members: map[string]Role{"admin": Operator}}
	h := open(t, f)
	operator, reader := h.withKey(t, "hk_admin"), h.withKey(t, "hk_read")
	_, page := operator.get("/providers")
	_, readers := reader.get("/providers")
	if !strings.Contains(page, `action="/providers/apns?app=demo&amp;window=15m"`) || strings.Contains(readers, "Switch off") {
		t.Error("switches are for operators, and only for them")
	}
	off := func(v *visitor, page, reason string) (*http.Response, string) {
		return v.post("/providers/apns?app=demo&window=1h&maker=Apple", url.Values{"csrf": {csrfOf(page)}, "do": {"off"}, "reason": {reason}})
	}
	if res, _ := off(reader, readers, "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a reader switches: %s, want 403", res.Status)
	}
	if res, _ := off(operator, page, " Apple asked us to "); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/providers?app=demo&maker=Apple&window=1h" {
		t.Errorf("switched off: %s to %s", res.Status, res.Header.Get("Location"))
	}
	if res, body := off(operator, page, "no reason"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "apns was not switched: reason &lt;b&gt;must&lt;/b&gt; be better.") {
		t.Errorf("refused: %s", res.Status)
	}
	if res, _ := operator.post("/providers/xiaomi", url.Values{"csrf": {csrfOf(page)}, "do": {"on"}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("switched on: %s", res.Status)
	}
	want := []string{
		`key admin operator in demo: PUT /v1/lanes/apns {"reason":"Apple asked us to","state":"off"}`,
		`key admin operator in demo: PUT /v1/lanes/apns {"reason":"no reason","state":"off"}`,
		`key admin operator in demo: PUT /v1/lanes/xiaomi {"state":"open"}`,
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("the API was asked %q, want %q", f.asked, want)
	}
}

func TestAnAdminSaysWhoChooses(t *testing.T) {
	f := &fake{lively: true}
	h := open(t, f)
	admin, reader := h.withKey(t, "hk_admin"), h.withKey(t, "hk_read")
	_, page := admin.get("/choice")
	_, readers := reader.get("/choice")
	if !strings.Contains(page, `name="order-chat" value="live, fcm"`) || strings.Contains(readers, "<form method=\"post\" action=\"/choice") {
		t.Error("rules are for admins to change, and only for them")
	}
	tests := map[string]struct {
		v      *visitor
		page   string
		form   url.Values
		status int
		says   string // the body of the change that the API is asked for, or what the page says
	}{
		"a reader":           {reader, readers, url.Values{"do": {"kill"}}, 403, "needs the role admin"},
		"the switch":         {admin, page, url.Values{"do": {"kill"}}, 303, `{"kill":true,"rules":[{"mode":"static","order":["sms"]}]}`},
		"rules":              {admin, page, url.Values{"mode-": {"shadow"}, "mode-chat": {"ab"}, "share-chat": {"12.5"}, "order-chat": {" live ,, fcm"}, "mode-otp": {"static"}}, 303, `{"kill":false,"rules":[{"class":"otp","mode":"static"},{"class":"chat","mode":"ab","order":["live","fcm"],"share":0.125},{"mode":"shadow"}]}`},
		"no rules":           {admin, page, url.Values{"mode-": {"auto"}}, 303, `{"kill":false,"rules":[]}`},
		"a share of all":     {admin, page, url.Values{"mode-chat": {"ab"}, "share-chat": {"100"}}, 422, "share of chat must be between 0 and 100"},
		"a share of nothing": {admin, page, url.Values{"mode-": {"ab"}}, 422, "share of every class must be between"},
	}
	for name, tt := range tests {
		f.asked = nil
		tt.form.Set("csrf", csrfOf(tt.page))
		res, body := tt.v.post("/choice?app=demo", tt.form)
		if len(f.asked) > 1 {
			body = f.asked[1]
		}
		if res.StatusCode != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %s, asked %q; want %d and %s", name, res.Status, f.asked, tt.status, tt.says)
		}
	}
}

func TestTheGainIsMeasuredOrEstimated(t *testing.T) {
	sides := []Uplift{
		{"chat", 100, 80, 100, 50, Estimate{0.3, 0.174, 0.426}},
		{"otp", 300, 300, 0, 0, Estimate{}}, // no A/B
		{"marketing", 100, 50, 100, 50, Estimate{0, -0.139, 0.139}},
	}
	log := []WhatIf{
		{Policy: "logged", Decisions: 9, DR: Estimate{0.9, 0.8, 1}}, {Policy: "order", Decisions: 9, DR: Estimate{0.8, 0.7, 0.9}},
	}
	tests := map[string]struct {
		c    Choice
		want string
	}{
		"an A/B":           {Choice{Uplifts: sides, WhatIf: log}, "+15.0 of +5.6 to +24.4, measured, sure true"},
		"the log":          {Choice{WhatIf: log}, "+10.0 of −4.1 to +24.1, estimated, sure false"},
		"neither":          {Choice{}, "none"},
		"no decisions yet": {Choice{WhatIf: []WhatIf{{Policy: "logged"}, {Policy: "order"}}}, "none"},
	}
	for name, tt := range tests {
		got := "none"
		if g := (&choiceRead{tt.c}).Gain(); g != nil {
			got = fmt.Sprintf("%s of %s, %s, sure %v", g.Points(), g.PointBounds(), g.How, g.Sure)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestStreamsAddUpToTheDeliveries(t *testing.T) {
	j, err := (&fake{lively: true}).Journeys(t.Context(), Lens{App: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	read := &journeysRead{j}
	into, out := map[string]uint64{}, map[string]uint64{}
	for _, l := range read.flow().Links {
		out[l.From] += l.Value
		into[l.To] += l.Value
	}
	if out["start"] != read.Deliveries() {
		t.Errorf("%d begin, of %d", out["start"], read.Deliveries())
	}
	var ended uint64
	for name, n := range into {
		if strings.HasPrefix(name, "end ") {
			ended += n
		} else if n != out[name] {
			t.Errorf("%s: %d come, %d go", name, n, out[name])
		}
	}
	if ended != read.Deliveries() {
		t.Errorf("%d end, of %d", ended, read.Deliveries())
	}
}
