package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const cachedGet = `
        call: {backend: main, path: /x}
        cache: {per: app, seconds: 10, stale_while_revalidate_seconds: 10, stale_if_error_seconds: 100}
`

func TestAnAnswerServesAgainAndAnOldOneInNeed(t *testing.T) {
	var n atomic.Int32
	var down atomic.Bool
	w := newWorld(t, one(cachedGet), func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(500)
			return
		}
		answerJSON(fmt.Sprint(n.Add(1)))(w, r)
	})
	expect := func(out, how string) {
		t.Helper()
		got, a, e := w.ask("get", `{"a":1}`)
		if got != out || a == nil || a.Cached != how {
			t.Fatalf("answer %s, %+v (%v); want %s, cached %q", got, a, e, out, how)
		}
	}
	expect("1", "")
	expect("1", "hit")
	if out, _, _ := w.ask("get", `{"a":2}`); out != "2" {
		t.Errorf("another input is answered %s", out)
	}
	w.clock.pass(11 * time.Second) // older than it is fresh: it serves, and is asked for anew
	expect("1", "stale")
	eventually(t, "a fresh answer", func() bool { out, _, _ := w.ask("get", `{"a":1}`); return out == "3" })
	expect("3", "hit")

	down.Store(true)
	w.clock.pass(30 * time.Second)
	expect("3", "stale")
	w.clock.pass(100 * time.Second)
	if code, _, _ := w.ask("get", `{"a":1}`); code != CodeFailed {
		t.Errorf("long afterwards: %s, want %s", code, CodeFailed)
	}
}

func TestTheBackEndSaysHowLongAnAnswerServes(t *testing.T) {
	var n, unchanged atomic.Int32
	w := newWorld(t, one("\n        call: {backend: main, path: /x}\n        cache: {per: app, seconds: 0}\n"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=5")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answerJSON(fmt.Sprint(n.Add(1)))(w, r)
	})
	for range 3 {
		if out, _, e := w.ask("get", `{}`); out != "1" {
			t.Fatalf("answer %s (%v)", out, e)
		}
		w.clock.pass(6 * time.Second)
	}
	if n.Load() != 1 || unchanged.Load() != 2 {
		t.Errorf("the back end answered %d times, and %d times that nothing changed; want 1 and 2", n.Load(), unchanged.Load())
	}
}

func TestWhatIsNotToBeStoredIsNot(t *testing.T) {
	var n atomic.Int32
	w := newWorld(t, one(cachedGet), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		answerJSON(fmt.Sprint(n.Add(1)))(w, r)
	})
	w.ask("get", `{}`)
	if out, _, _ := w.ask("get", `{}`); out != "2" {
		t.Errorf("the second answer is %s", out)
	}
}

func TestMappingsOfSharedAnswersDoNotSeeWhoAsks(t *testing.T) {
	w := newWorld(t, one(`
        call: {backend: main, path: /x, request: '{query: {who: ($caller.user // "nobody")}}'}
        cache: {per: app, seconds: 10}
`), func(w http.ResponseWriter, r *http.Request) { answerJSON(`"`+r.URL.Query().Get("who")+`"`)(w, r) })
	if out, _, _ := w.ask("get", `{}`); out != `"nobody"` {
		t.Errorf("the back end heard of %s, whose answer others would get", out)
	}
}

func TestEqualCallsUnderWayHaveOneAnswer(t *testing.T) {
	var n atomic.Int32
	release := make(chan struct{})
	w := newWorld(t, one(cachedGet), func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		<-release
		answerJSON(`1`)(w, r)
	})
	var all sync.WaitGroup
	var right atomic.Int32
	for range 20 {
		all.Go(func() {
			if a, err := w.Call(t.Context(), phone(), Request{Service: "jobs", Operation: "get"}); err == nil && string(a.Output) == "1" {
				right.Add(1)
			}
		})
	}
	eventually(t, "the first call at the business", func() bool { return n.Load() == 1 })
	close(release)
	all.Wait()
	if right.Load() != 20 || n.Load() != 1 {
		t.Errorf("%d of 20 were answered by %d calls", right.Load(), n.Load())
	}
}

func TestTheStoreIsBounded(t *testing.T) {
	c := newCache(3 * (entryCost + 4))
	for i := range 10 {
		c.put(&entry{key: cacheKey{byte(i)}, res: &result{raw: []byte("1")}})
	}
	if len(c.entries) != 3 || c.get(cacheKey{9}) == nil || c.get(cacheKey{0}) != nil || c.bytes > c.most {
		t.Errorf("of ten it keeps %d, %d bytes", len(c.entries), c.bytes)
	}
}
