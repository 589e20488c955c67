package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The versions of one service: 2 is the business's, 1 is what old clients know.
const jobsYAML = `
app: demo
service: jobs
backends:
  main: {url: BACKEND, allow_private: true}
versions:
  1:
    deprecated: 2026-05-01
    sunset: 2026-12-01
    operations:
      search:
        input: {type: object, required: [q], properties: {q: {type: string}}, additionalProperties: false}
        output: {type: array, items: {type: object, required: [name, pay]}}
        adapt: {version: "2", input: "{text: .q}", output: "[.jobs[] | {name: .title, pay: .salary.from}]"}
  2:
    operations:
      search:
        input: {type: object, required: [text], properties: {text: {type: string, maxLength: 40}}}
        output: {type: object, required: [jobs]}
        call:
          backend: main
          path: /positions
          request: '{query: {q: .text, page: $page.number, size: $page.limit}}'
          response: '{jobs: [.items[] | {title: .t, salary: {from: .s}}]}'
        pagination: {style: page, limit: 2, max: 10, next: .more}
`

func TestOldAndNewClientsAreAnsweredByOneBusiness(t *testing.T) {
	var asked atomic.Value
	w := newWorld(t, jobsYAML, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		answerJSON(`{"items":[{"t":"Cook","s":12345678901234567890}],"more":true}`)(w, r)
	})
	out, a, _ := w.ask("search", `{"text":"a b"}`, inVersion(2))
	if want := `{"jobs":[{"salary":{"from":12345678901234567890},"title":"Cook"}]}`; out != want {
		t.Errorf("version 2 answers %s, want %s", out, want)
	}
	if got := asked.Load(); got != "/positions?page=1&q=a+b&size=2" {
		t.Errorf("the business was asked %v", got)
	}
	if a.Page == nil || a.Deprecated != nil {
		t.Fatalf("version 2: page %v, deprecated %v; want a next page and no date", a.Page, a.Deprecated)
	}
	w.ask("search", `{"text":"a b"}`, inVersion(2), cursor(a.Page.Next), limit(3))
	if got := asked.Load(); got != "/positions?page=2&q=a+b&size=3" {
		t.Errorf("for the second page the business was asked %v", got)
	}

	out, a, _ = w.ask("search", `{"q":"a b"}`) // who names no version has the oldest
	if want := `[{"name":"Cook","pay":12345678901234567890}]`; out != want {
		t.Errorf("version 1 answers %s, want %s", out, want)
	}
	if d := a.Deprecated; d == nil || d.Sunset != "2026-12-01" || d.Use != 2 {
		t.Errorf("version 1 says of its end: %+v", d)
	}
	w.clock.pass(300 * 24 * time.Hour)
	if code, _, e := w.ask("search", `{"q":"a"}`); code != CodeSunset || e.Status != http.StatusGone {
		t.Errorf("after its last day version 1 answers %s", code)
	}
}

func TestEveryFaultOfACallHasItsCode(t *testing.T) {
	w := newWorld(t, jobsYAML, answerJSON(`{"items":[],"more":false}`))
	tests := map[string]struct {
		operation, input string
		version          int
		want, field      string
	}{
		"a field is missing":         {"search", `{}`, 2, CodeInvalidInput, "input"},
		"a field is of another type": {"search", `{"text":1}`, 2, CodeInvalidInput, "input.text"},
		"a field is not known":       {"search", `{"q":"a","z":1}`, 1, CodeInvalidInput, "input"},
		"the input is not JSON":      {"search", `{`, 2, CodeInvalidInput, ""},
		"two values":                 {"search", `{"text":"a"} {}`, 2, CodeInvalidInput, ""},
		"the input is too long":      {"search", `"` + strings.Repeat("x", defaultInput) + `"`, 2, CodeInputTooLarge, ""},
		"no such operation here":     {"apply", `{}`, 2, CodeUnknownOperation, ""},
		"no such version":            {"search", `{}`, 3, CodeUnknownVersion, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, _, e := w.ask(tt.operation, tt.input, inVersion(tt.version))
			if code != tt.want {
				t.Fatalf("Call() = %s, want %s", code, tt.want)
			}
			if tt.field != "" && (len(e.Faults) == 0 || e.Faults[0].Field != tt.field) {
				t.Errorf("faults = %v, want one of %s", e.Faults, tt.field)
			}
		})
	}
	if code, _, _ := w.ask("search", `{"text":"a"}`, inVersion(2), limit(11)); code != CodeInvalidInput {
		t.Errorf("a page of 11 of at most 10 is answered %s", code)
	}
	if code, _, _ := w.ask("search", `{"text":"a"}`, inVersion(2), cursor("%%")); code != CodeInvalidInput {
		t.Errorf("a cursor of the caller's invention is answered %s", code)
	}
	if code, _, _ := w.ask("search", `{}`, func(r *Request) { r.Service = "cars" }); code != CodeUnknownService {
		t.Errorf("another service is answered %s", code)
	}
}

// one declares a single operation "get" with more lines under it.
func one(more string) string {
	return `
app: demo
service: jobs
backends:
  main: {url: BACKEND, allow_private: true, max_bytes: 1000, timeout_ms: 30000}
versions:
  1:
    operations:
      get:
` + more
}

const plainGet = `
        call: {backend: main, path: /x, response: '.a'}
        output: {type: integer}
`

func TestWhatABusinessDoesWrongHasACode(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	tests := map[string]struct {
		more   string
		answer http.HandlerFunc
		want   string
	}{
		"HTML with 200": {plainGet, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Hello</html>") }, CodeNotJSON},
		"an endless body": {plainGet, func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := fmt.Fprint(w, strings.Repeat("1", 4096)); err != nil {
					return
				}
			}
		}, CodeTooLarge},
		"a redirect": {plainGet, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/secret", http.StatusFound)
		}, CodeRedirected},
		"what was not agreed on": {plainGet, answerJSON(`{"a":"text"}`), CodeInvalidOutput},
		"a list for an object":   {plainGet, answerJSON(`[1]`), CodeMapping},
		"no answer in time": {"\n        call: {backend: main, path: /x, timeout_ms: 50}\n", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, CodeTimeout},
		"it breaks off":                 {plainGet, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, CodeUnreachable},
		"404":                           {plainGet, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, CodeRefused},
		"500 with HTML":                 {plainGet, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); fmt.Fprint(w, "<html>") }, CodeFailed},
		"jq never ends":                 {"\n        call: {backend: main, path: /x, response: 'def f: f; f'}\n", answerJSON(`{}`), CodeMappingTime},
		"jq grows":                      {"\n        call: {backend: main, path: /x, response: '[range(infinite)]'}\n", answerJSON(`{}`), CodeMappingTime},
		"jq has nothing":                {"\n        call: {backend: main, path: /x, response: 'empty'}\n", answerJSON(`{}`), CodeMapping},
		"a header that leads elsewhere": {"\n        call: {backend: main, path: /x, request: '{headers: {Host: \"evil\"}}'}\n", answerJSON(`{}`), CodeMapping},
		"a header with a line break":    {"\n        call: {backend: main, path: /x, request: '{headers: {\"X-A\": \"b\\r\\nX-C: d\"}}'}\n", answerJSON(`{}`), CodeMapping},
		"a path that leads up":          {"\n        call: {backend: main, path: '/x/{id}', request: '{path: {id: \"..\"}}'}\n", answerJSON(`{}`), CodeMapping},
		"the business says so": {`
        call: {backend: main, path: /x, errors: [{when: '.body.code == 7', code: sold_out, status: 409}]}
`, answerJSON(`{"code":7}`), "sold_out"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, one(tt.more), tt.answer)
			code, _, e := w.ask("get", `{}`)
			if code != tt.want {
				t.Fatalf("Call() = %s (%v), want %s", code, e, tt.want)
			}
			if e.Status < 400 {
				t.Errorf("its status is %d", e.Status)
			}
		})
	}
}

func TestABackEndInAPrivateNetworkIsNotReached(t *testing.T) {
	var reached atomic.Bool
	w := newWorld(t, strings.ReplaceAll(one(plainGet), "allow_private: true, ", ""), func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	if code, _, _ := w.ask("get", `{}`); code != CodePrivate || reached.Load() {
		t.Errorf("Call() = %s, reached: %v", code, reached.Load())
	}
}

func TestAnIdempotentCallIsRetried(t *testing.T) {
	var n atomic.Int32
	flaky := func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answerJSON(`{"a":1}`)(w, r)
	}
	w := newWorld(t, one("\n        call: {backend: main, path: /x, response: .a, retries: 2}\n"), flaky)
	if out, _, _ := w.ask("get", `{}`); out != "1" || n.Load() != 3 {
		t.Errorf("Call() = %s after %d attempts, want 1 after 3", out, n.Load())
	}
}

func TestABusinessThatFailsIsLeftAlone(t *testing.T) {
	var n atomic.Int32
	w := newWorld(t, strings.ReplaceAll(one(plainGet), "timeout_ms: 30000", "breaker: {percent: 50, calls: 5, window_seconds: 600, open_ms: 600000}"),
		func(w http.ResponseWriter, _ *http.Request) { n.Add(1); w.WriteHeader(500) })
	var last *Error
	for range 20 {
		_, _, last = w.ask("get", `{}`)
	}
	if last.Code != CodeOpen || last.RetryAfter <= 0 || n.Load() != 5 {
		t.Errorf("after 20 calls: %s, retry after %v, %d reached the business; want %s and 5", last.Code, last.RetryAfter, n.Load(), CodeOpen)
	}
}

func TestAHangingBusinessTakesOnlyItsOwnPlaces(t *testing.T) {
	hang, in := make(chan struct{}), make(chan struct{}, 100)
	w := newWorld(t, `
app: demo
service: jobs
backends:
  slow: {url: BACKEND, allow_private: true, concurrency: 2, timeout_ms: 30000}
  quick: {url: BACKEND, allow_private: true}
versions:
  1:
    operations:
      hang: {call: {backend: slow, method: POST, path: /slow}}
      get: {call: {backend: quick, path: /quick}}
`, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			in <- struct{}{}
			<-hang
		}
		answerJSON(`1`)(w, r)
	})
	t.Cleanup(func() { close(hang) }) // before the business ends, which waits for it
	for range 2 {
		go func() { _, _ = w.Call(t.Context(), phone(), Request{Service: "jobs", Operation: "hang"}) }()
	}
	<-in
	<-in
	if code, _, _ := w.ask("hang", `{}`); code != CodeBusy {
		t.Errorf("the third call of two at a time is answered %s, want %s", code, CodeBusy)
	}
	if out, _, _ := w.ask("get", `{}`); out != "1" {
		t.Errorf("beside the hanging one the other back end answers %s", out)
	}
}

func TestRatesBindWhomTheyName(t *testing.T) {
	w := newWorld(t, one(plainGet+"        limits: {device: {per_second: 0.001, burst: 2}}\n"), answerJSON(`{"a":1}`))
	w.ask("get", `{}`)
	w.ask("get", `{}`)
	if code, _, e := w.ask("get", `{}`); code != CodeRateLimited || e.RetryAfter <= 0 {
		t.Errorf("the third of two is answered %s", code)
	}
	other := phone()
	other.Device = "phone-2"
	if _, err := w.Call(t.Context(), other, Request{Service: "jobs", Operation: "get"}); err != nil {
		t.Errorf("another device is answered %v", err)
	}
}

func TestAnAnswerIsGivenWithoutAnOptionalPart(t *testing.T) {
	w := newWorld(t, one(`
        calls:
          job: {backend: main, path: /job, response: '{id}'}
          firm: {backend: main, path: '/firm/{id}', needs: [job], request: '{path: {id: $parts.job.id}}', optional: true, fallback: {name: unknown}}
        compose: '{job: .job.id, firm: .firm.name}'
`), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/job":
			answerJSON(`{"id":7}`)(w, r)
		case "/firm/7":
			w.WriteHeader(500)
		}
	})
	out, a, e := w.ask("get", `{}`)
	if want := `{"firm":"unknown","job":7}`; out != want {
		t.Fatalf("Call() = %s (%v), want %s", out, e, want)
	}
	if len(a.Partial) != 1 || a.Partial[0] != (Missing{"firm", CodeFailed}) {
		t.Errorf("partial = %v", a.Partial)
	}
}

func TestFieldsAreSeenByTheirRoles(t *testing.T) {
	w := newWorld(t, one(`
        call: {backend: main, path: /x}
        fields: {"list.phone": [admin]}
        cache: {per: app, seconds: 60}
`), answerJSON(`{"list":[{"name":"a","phone":"1"}]}`))
	if out, _, _ := w.ask("get", `{}`); out != `{"list":[{"name":"a"}]}` {
		t.Errorf("a device sees %s", out)
	}
	boss := Caller{App: "demo", Roles: []string{"admin"}}
	a, err := w.Call(t.Context(), boss, Request{Service: "jobs", Operation: "get"})
	if err != nil || string(a.Output) != `{"list":[{"name":"a","phone":"1"}]}` || a.Cached != "hit" {
		t.Errorf("an admin sees %s, cached %q (%v)", a.Output, a.Cached, err)
	}
}

func TestMockAnswersFromExamples(t *testing.T) {
	w := newWorld(t, one(`
        mock: true
        examples: [{input: {a: 1}, output: one}, {input: {a: 2}, output: two}]
`), nil)
	if out, _, _ := w.ask("get", `{"a": 2}`); out != `"two"` {
		t.Errorf("for the input of the second example mock answers %s", out)
	}
}

func TestAShadowIsAskedBesideAndCompared(t *testing.T) {
	w := newWorld(t, one(`
        call: {backend: main, path: /old}
        shadow: {percent: 100, call: {backend: main, path: /new}}
`), func(w http.ResponseWriter, r *http.Request) {
		answerJSON(map[string]string{"/old": `{"pay":1,"same":0}`, "/new": `{"pay":2,"same":0}`}[r.URL.Path])(w, r)
	})
	if out, _, _ := w.ask("get", `{}`); out != `{"pay":1,"same":0}` {
		t.Errorf("Call() = %s", out)
	}
	eventually(t, "the comparison", func() bool { r, _ := w.Shadow("demo", "jobs", "1", "get"); return r.Different == 1 })
	r, _ := w.Shadow("demo", "jobs", "1", "get")
	if got := r.Last[0].Where; len(got) != 1 || got[0] != (Difference{"pay", "1", "2"}) {
		t.Errorf("differences = %v", got)
	}
}

func TestACanaryAnswersItsShareAndStaysWithACaller(t *testing.T) {
	w := newWorld(t, one(`
        call: {backend: main, path: /old}
        canary: {percent: 30, call: {backend: main, path: /new}}
`), func(w http.ResponseWriter, r *http.Request) { answerJSON(`"`+r.URL.Path+`"`)(w, r) })
	count := map[string]int{}
	for i := range 400 {
		who := Caller{App: "demo", User: fmt.Sprint("user-", i)}
		first, err := w.Call(t.Context(), who, Request{Service: "jobs", Operation: "get"})
		if err != nil {
			t.Fatal(err)
		}
		second, _ := w.Call(t.Context(), who, Request{Service: "jobs", Operation: "get"})
		if string(first.Output) != string(second.Output) {
			t.Fatalf("user %d was sent to and fro", i)
		}
		count[string(first.Output)]++
	}
	if n := count[`"/new"`]; n < 80 || n > 160 { // who they are is fixed, so is this number
		t.Errorf("of 400 users the canary answered %d", n)
	}
}

func TestASampledExchangeIsMaskedAndReplays(t *testing.T) {
	w := newWorld(t, one(`
        call: {backend: main, method: POST, path: /x, response: '{got: .a, phone}'}
        sample: {percent: 100, mask: [phone]}
`), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answerJSON(`{"a":1,"phone":"13800000000"}`)(w, r)
	})
	w.ask("get", `{"phone":"13800000000","q":"x"}`)
	kept := w.Exchanges("demo", "jobs")
	if len(kept) != 1 {
		t.Fatalf("%d exchanges were kept, want 1", len(kept))
	}
	text, err := json.Marshal(kept[0])
	if err != nil || strings.Contains(string(text), "1380000") || strings.Contains(string(text), "ada") {
		t.Fatalf("the exchange tells too much: %s (%v)", text, err)
	}
	d, err := w.Declared("demo", "jobs")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Replay(t.Context(), d, Rules{AllowPrivate: true}, *kept[0])
	if err != nil || len(Compare(kept[0].Output, got.Output)) != 0 {
		t.Fatalf("Replay() = %+v (%v), want what was", got, err)
	}
	v := d.Versions["1"].Operations["get"]
	changed := *v.Call
	changed.Response = `{got: (.a + 1), phone}`
	v.Call = &changed
	d.Versions["1"].Operations["get"] = v
	if got, err = Replay(t.Context(), d, Rules{AllowPrivate: true}, *kept[0]); err != nil {
		t.Fatal(err)
	}
	if diff := Compare(kept[0].Output, got.Output); len(diff) != 1 || diff[0].Path != "got" {
		t.Errorf("a changed mapping differs in %v", diff)
	}
}
