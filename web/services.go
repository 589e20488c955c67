package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the API tells of businesses.
type (
	// aboutService is a service as it is listed.
	aboutService struct {
		Service  string         `json:"service"`
		Title    string         `json:"title"`
		From     string         `json:"from"`
		Versions []aboutVersion `json:"versions"`
		Events   []string       `json:"events"`
	}
	aboutVersion struct {
		Version    int      `json:"version"`
		Deprecated string   `json:"deprecated"`
		Sunset     string   `json:"sunset"`
		Operations []string `json:"operations"`
	}
	// serviceState is how it fares.
	serviceState struct {
		Operations []operationStats `json:"operations"`
		Backends   []backendState   `json:"backends"`
		Shadows    []shadowState    `json:"shadows"`
		Exchanges  []keptExchange   `json:"exchanges"`
		Events     []inboundEvent   `json:"events"`
		Hours      []callsHour      `json:"hours"`
	}
	operationStats struct {
		Version   string            `json:"version"`
		Operation string            `json:"operation"`
		Calls     uint64            `json:"calls"`
		Errors    map[string]uint64 `json:"errors"`
		Hits      uint64            `json:"cache_hits"`
		Stale     uint64            `json:"cache_stale"`
		Partial   uint64            `json:"partial"`
		P50       float64           `json:"p50_ms"`
		P99       float64           `json:"p99_ms"`
	}
	backendState struct {
		Backend  string `json:"backend"`
		Breaker  string `json:"breaker"`
		UnderWay uint64 `json:"under_way"`
		Most     uint64 `json:"most"`
	}
	shadowState struct {
		Version   string `json:"version"`
		Operation string `json:"operation"`
		Report    struct {
			Same, Different, Failed, Skipped uint64
			Last                             []struct {
				At    time.Time
				Error string
				Where []struct{ Path, Was, Is string }
			}
		} `json:"report"`
	}
	keptExchange struct {
		Version   int             `json:"version"`
		Operation string          `json:"operation"`
		Input     json.RawMessage `json:"input"`
		Answers   json.RawMessage `json:"answers"`
	}
	inboundEvent struct {
		Event      string    `json:"event"`
		ID         string    `json:"id"`
		State      string    `json:"state"`
		Detail     string    `json:"detail"`
		Replays    uint64    `json:"replays"`
		ReceivedAt time.Time `json:"received_at"`
	}
	callsHour struct {
		Hour   time.Time `json:"hour"`
		Calls  uint64    `json:"calls"`
		Failed uint64    `json:"failed"`
		Cached uint64    `json:"cached"`
		P50    float64   `json:"p50_ms"`
		P99    float64   `json:"p99_ms"`
	}
	// serviceDeclared is what the playground needs of a declaration.
	serviceDeclared struct {
		Declaration struct {
			Versions map[string]struct {
				Operations map[string]operationDeclared `json:"operations"`
			} `json:"versions"`
		} `json:"declaration"`
	}
	operationDeclared struct {
		Title    string                     `json:"title"`
		Calls    map[string]json.RawMessage `json:"calls"`
		Examples []struct {
			Input json.RawMessage `json:"input"`
		} `json:"examples"`
	}
)

// Failed counts the calls that ended with an error.
func (o operationStats) Failed() (n uint64) {
	for _, times := range o.Errors {
		n += times
	}
	return n
}

// Codes names the errors, the most frequent first.
func (o operationStats) Codes() string {
	codes := slices.SortedFunc(maps.Keys(o.Errors), func(a, b string) int {
		if o.Errors[a] != o.Errors[b] {
			return int(o.Errors[b]) - int(o.Errors[a])
		}
		return strings.Compare(a, b)
	})
	for i, c := range codes {
		codes[i] = c + " " + count(o.Errors[c])
	}
	return strings.Join(codes, ", ")
}

// Kept counts the answers from the cache.
func (o operationStats) Kept() uint64 { return o.Hits + o.Stale }

// Dot is the mark of a breaker, and Words what it means.
func (b backendState) Dot() string {
	switch b.Breaker {
	case "closed":
		return "good"
	case "open":
		return "bad"
	default:
		return "warn"
	}
}

// Words is described at Dot.
func (b backendState) Words() string {
	switch b.Breaker {
	case "closed":
		return "well"
	case "open":
		return "left alone: it failed too often"
	default:
		return "being tried again"
	}
}

// Ends tells in words that a version comes to an end; "" if it does not.
func (v aboutVersion) Ends() string {
	switch {
	case v.Deprecated == "" && v.Sunset == "":
		return ""
	case v.Sunset == "":
		return "deprecated since " + v.Deprecated
	case v.Deprecated == "":
		return "ends on " + v.Sunset
	default:
		return "deprecated since " + v.Deprecated + ", ends on " + v.Sunset
	}
}

// Newest is the version with the highest number.
func (a aboutService) Newest() *aboutVersion {
	if len(a.Versions) == 0 {
		return nil
	}
	return &a.Versions[len(a.Versions)-1]
}

type servicesView struct {
	listing
	List []aboutService
}

// services serves /services: the businesses that the app's clients may call.
func (s *site) services(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	page := servicesView{listing: list(r, v.app, sess.roles.In(v.app), "/services", "after")}
	var answer struct {
		Services []aboutService `json:"services"`
	}
	if err := s.get(r, sess, v.app, apiPath(nil, "gateway", "services"), &answer); err != nil {
		return err
	}
	page.List = answer.Services
	s.render(w, r, sess, http.StatusOK, "services", page)
	return nil
}

// serviceView is one business: how it fares, and a playground for its mappings.
type serviceView struct {
	listing
	About    aboutService
	State    serviceState
	Choices  []string // "2 search", as the playground names operations
	Chosen   string
	Input    string
	Answers  string
	Admitted bool // the viewer may send an event again
}

// Title is the service's own.
func (v serviceView) Title() string {
	if v.About.Title != "" {
		return v.About.Title
	}
	return v.About.Service
}

// Moves says that the page moves by itself.
func (serviceView) Moves() {}

// Sums adds the operations up, in this process since its start.
func (v serviceView) Sums() (all operationStats) {
	for _, o := range v.State.Operations {
		all.Calls += o.Calls
		all.Hits += o.Hits
		all.Stale += o.Stale
		all.Errors = map[string]uint64{"": all.Failed() + o.Failed()}
		all.P99 = max(all.P99, o.P99)
	}
	return all
}

// hourBar is one bar of the chart of a day.
type hourBar struct {
	X                 int
	Height, Bad       float64 // of 40
	Calls, FailedOnes uint64
}

// Bars are the last day's calls by hour, the newest on the right.
func (v serviceView) Bars() []hourBar {
	most := uint64(1)
	for _, h := range v.State.Hours {
		most = max(most, h.Calls)
	}
	if len(v.State.Hours) == 0 {
		return nil
	}
	last := v.State.Hours[len(v.State.Hours)-1].Hour
	var bars []hourBar
	for _, h := range v.State.Hours {
		back := int(last.Sub(h.Hour).Hours())
		if back > 23 {
			continue
		}
		bars = append(bars, hourBar{
			X: 10 * (23 - back), Height: max(1, 40*float64(h.Calls)/float64(most)), Bad: 40 * float64(h.Failed) / float64(most),
			Calls: h.Calls, FailedOnes: h.Failed,
		})
	}
	return bars
}

// Y is where a bar begins, counted from above.
func (b hourBar) Y() float64 { return 40 - b.Height }

// BadY is Y of the part that failed.
func (b hourBar) BadY() float64 { return 40 - b.Bad }

// Day adds up the hours of the chart.
func (v serviceView) Day() (all callsHour) {
	for _, h := range v.State.Hours {
		all.Calls += h.Calls
		all.Failed += h.Failed
		all.Cached += h.Cached
	}
	return all
}

// Try is the page with an operation in its playground.
func (v serviceView) Try(choice string) string {
	return "/services/" + url.PathEscape(v.About.Service) + "?" + url.Values{"app": {v.App}, "try": {choice}}.Encode() + "#try"
}

// Replay is the button that maps an event once more.
func (v serviceView) Replay(csrf string, e inboundEvent) button {
	return button{
		App: v.App, CSRF: csrf, What: "event.replay", Words: "Map it again", Label: "Map it again: " + e.ID,
		With: map[string]string{"id": v.About.Service, "event": e.Event, "event_id": e.ID}, Back: within("/services/"+url.PathEscape(v.About.Service), v.App),
	}
}

// service serves /services/{service}.
func (s *site) service(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	name := r.PathValue("service")
	page := serviceView{listing: list(r, v.app, sess.roles.In(v.app), "/services", "after", "try")}
	page.Admitted = page.Admin()
	var all struct {
		Services []aboutService `json:"services"`
	}
	if err := s.get(r, sess, v.app, apiPath(nil, "gateway", "services"), &all); err != nil {
		return err
	}
	at := slices.IndexFunc(all.Services, func(a aboutService) bool { return a.Service == name })
	if at < 0 {
		return ErrNotFound
	}
	page.About = all.Services[at]
	var declared serviceDeclared
	if err := s.get(r, sess, v.app, apiPath(nil, "gateway", "services", name), &declared); err != nil {
		return err
	}
	if err := s.get(r, sess, v.app, apiPath(nil, "gateway", "services", name, "state"), &page.State); err != nil {
		return err
	}
	page.play(declared, page.On("try"))
	s.render(w, r, sess, http.StatusOK, "service", page)
	return nil
}

// play fills the playground: with an exchange that was kept, or an example.
func (v *serviceView) play(d serviceDeclared, wish string) {
	operations := map[string]operationDeclared{}
	for _, version := range v.About.Versions {
		for _, o := range version.Operations {
			choice := strconv.Itoa(version.Version) + " " + o
			v.Choices = append(v.Choices, choice)
			operations[choice] = d.Declaration.Versions[strconv.Itoa(version.Version)].Operations[o]
		}
	}
	if len(v.Choices) == 0 {
		return
	}
	v.Chosen = v.Choices[len(v.Choices)-1]
	if slices.Contains(v.Choices, wish) {
		v.Chosen = wish
	}
	o := operations[v.Chosen]
	v.Input, v.Answers = "{}", `{"": {"status": 200, "body": {}}}`
	if len(o.Calls) > 0 {
		var steps []string
		for _, name := range slices.Sorted(maps.Keys(o.Calls)) {
			steps = append(steps, strconv.Quote(name)+`: {"status": 200, "body": {}}`)
		}
		v.Answers = "{" + strings.Join(steps, ",\n ") + "}"
	}
	if len(o.Examples) > 0 {
		v.Input = pretty(o.Examples[0].Input)
	}
	version, operation, _ := strings.Cut(v.Chosen, " ")
	for _, x := range slices.Backward(v.State.Exchanges) {
		if strconv.Itoa(x.Version) == version && x.Operation == operation {
			v.Input, v.Answers = pretty(x.Input), pretty(x.Answers)
			break
		}
	}
}

// tryBody is an exchange for the API to try, from the form of the playground.
func tryBody(f url.Values) any {
	version, operation, _ := strings.Cut(f.Get("operation"), " ")
	body := map[string]any{
		"version": number(version), "operation": operation,
		"input": jsonOf(orEmpty(f.Get("input"))), "answers": jsonOf(orEmpty(f.Get("answers"))),
		"caller": map[string]any{"user": f.Get("user"), "roles": []string{"device", "user"}},
	}
	if text := strings.TrimSpace(f.Get("declaration")); text != "" {
		body["declaration"] = jsonOf(text)
	}
	return body
}
