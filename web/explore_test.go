package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAQuestionIsAskedKeptAndForgotten(t *testing.T) {
	f := &fake{lively: true}
	h := open(t, f)
	v := h.withKey(t, "hk_analyst")
	res, page := v.get("/explore?app=demo&sql=SELECT+maker")
	for _, want := range []string{
		">SELECT maker</textarea>", "3 rows, and more that were cut off", ">4120</td>", ">98.1</td>", ">–</td>",
		`href="/data/explore.csv?app=demo&amp;sql=SELECT&#43;maker" download`, `"kind":"bars"`, "delivered_percent",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s: the page lacks %q", res.Status, want)
		}
	}
	if res, file := v.get("/data/explore.csv?sql=SELECT+maker"); res.StatusCode != http.StatusOK || !strings.Contains(file, "maker,provider,deliveries,delivered_percent\nApple,apns,4120,98.1\n") || !strings.Contains(file, "'=1+1,live,911,\n") {
		t.Errorf("the file: %s %q", res.Status, file)
	}
	form := url.Values{"csrf": {csrfOf(page)}, "name": {"Makers"}, "sql": {"SELECT maker"}, "do": {"save"}}
	if res, _ := v.post("/explore?app=demo", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/explore?app=demo&name=Makers&sql=SELECT+maker" {
		t.Errorf("save: %s to %s", res.Status, res.Header.Get("Location"))
	}
	if _, page := v.get("/explore"); !strings.Contains(page, ">Makers</a><small>key analyst, now</small>") {
		t.Error("the saved question is not listed")
	}
	form = url.Values{"csrf": {csrfOf(page)}, "name": {"Makers"}, "do": {"forget"}}
	if res, _ := v.post("/explore?app=demo", form); res.StatusCode != http.StatusSeeOther || len(f.saved) != 0 {
		t.Errorf("forget: %s, left %v", res.Status, f.saved)
	}
}

func TestAQuestionThatIsRefusedSaysWhy(t *testing.T) {
	h := open(t, &fake{lively: true})
	analyst, reader := h.withKey(t, "hk_analyst"), h.withKey(t, "hk_read")
	_, page := analyst.get("/explore")
	_, readers := reader.get("/")
	tests := map[string]struct {
		do     func() (*http.Response, string)
		status int
		says   string
	}{
		"a viewer":        {func() (*http.Response, string) { return reader.get("/explore") }, 403, "needs the role analyst"},
		"a viewer's file": {func() (*http.Response, string) { return reader.get("/data/explore.csv?sql=SELECT+1") }, 403, ""},
		"a viewer keeps": {func() (*http.Response, string) {
			return reader.post("/explore", url.Values{"csrf": {csrfOf(readers)}, "name": {"x"}, "sql": {"y"}})
		}, 403, ""},
		"another app":        {func() (*http.Response, string) { return analyst.get("/explore?app=bank&sql=SELECT+1") }, 404, ""},
		"a forbidden table":  {func() (*http.Response, string) { return analyst.get("/explore?sql=system") }, 422, "system is not among the tables"},
		"the same as a file": {func() (*http.Response, string) { return analyst.get("/data/explore.csv?sql=system") }, 422, "system is not among the tables"},
		"no rows":            {func() (*http.Response, string) { return analyst.get("/explore?sql=nothing") }, 200, "No rows."},
		"a name that is taken": {func() (*http.Response, string) {
			return analyst.post("/explore", url.Values{"csrf": {csrfOf(page)}, "name": {"taken"}, "sql": {"SELECT 1"}})
		}, 422, "name: is taken"},
		"no name": {func() (*http.Response, string) {
			return analyst.post("/explore", url.Values{"csrf": {csrfOf(page)}, "sql": {"SELECT 1"}})
		}, 422, "Give the question a name"},
		"no token": {func() (*http.Response, string) {
			return analyst.post("/explore", url.Values{"name": {"x"}, "sql": {"SELECT 1"}})
		}, 403, ""},
	}
	for name, tt := range tests {
		if res, body := tt.do(); res.StatusCode != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %s, want %d and %q", name, res.Status, tt.status, tt.says)
		}
	}
}

func TestAnAnswerIsDrawnAsItsShapeAllows(t *testing.T) {
	at := time.Unix(1e9, 0)
	column := func(names ...string) (cs []Column) {
		for _, n := range names {
			cs = append(cs, Column{Name: n})
		}
		return cs
	}
	tests := map[string]struct {
		a    Answer
		want string // kind, and the series
	}{
		"one number":               {Answer{column("n"), [][]any{{uint64(1)}, {uint64(2)}}, false, 0}, ""},
		"one row":                  {Answer{column("a", "n"), [][]any{{"x", uint64(1)}}, false, 0}, ""},
		"numbers over time":        {Answer{column("at", "n", "m"), [][]any{{at, uint64(1), 2.5}, {at.Add(time.Hour), uint64(3), nil}}, false, 0}, "lines n m"},
		"one number by a text":     {Answer{column("at", "who", "n"), [][]any{{at, "x", uint64(1)}, {at, "y", uint64(3)}}, false, 0}, "lines x y"},
		"numbers of names":         {Answer{column("a", "b", "n", "m"), [][]any{{"x", "1", uint64(1), 2.5}, {"y", "2", uint64(3), 4.5}}, false, 0}, "bars m"},
		"texts alone":              {Answer{column("a", "b"), [][]any{{"x", "1"}, {"y", "2"}}, false, 0}, ""},
		"a column that holds none": {Answer{column("a", "n"), [][]any{{"x", nil}, {"y", nil}}, false, 0}, ""},
	}
	for name, tt := range tests {
		got := ""
		if c, ok := plot(tt.a); ok {
			got = c.Kind
			for _, s := range c.Series {
				got += " " + s.Name
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
