package web

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// insightPaths are the pages of numbers.
var insightPaths = map[string]string{"overview": "/", "providers": "/providers"}

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
