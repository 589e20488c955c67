// Command agency is a recruitment agency's server, in two shapes: the one it was
// built with years ago, and the one it has after it was rebuilt. It knows nothing
// of Herald but where to report that an application was read.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/examples/business"
)

// job is a position as the agency keeps it.
type job struct {
	no          int
	title, town string
	from, to    int // euros a month
	closed      bool
}

func jobs() []job {
	return []job{
		{101, "Cook", "Lyon", 2100, 2400, false},
		{102, "Nurse", "Lille", 2300, 2900, false},
		{103, "Pastry cook", "Nantes", 2000, 2200, false},
		{104, "Cook's assistant", "Lyon", 1900, 2000, true},
	}
}

// agency is the server.
type agency struct {
	key, herald string
	hook        []byte

	mu           sync.Mutex
	applications map[string]job    // by number
	applicants   map[string]string // likewise
}

func main() {
	shape := flag.Int("shape", 1, "1: as it was built; 2: as it was rebuilt")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	herald := flag.String("herald", "", "where applications that were read are reported")
	flag.Parse()
	hook, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("AGENCY_HOOK"), "whsec_"))
	if err != nil {
		fail(err)
	}
	a := &agency{key: os.Getenv("AGENCY_KEY"), herald: *herald, hook: hook, applications: map[string]job{}, applicants: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /desk/read/{application}", a.read)
	if *shape == 1 {
		mux.HandleFunc("GET /positions", a.known(a.positions))
		mux.HandleFunc("POST /positions/{ref}/applications", a.known(a.applyOld))
	} else {
		mux.HandleFunc("POST /api/vacancies/search", a.known(a.vacancies))
		mux.HandleFunc("POST /api/applications", a.known(a.applyNew))
	}
	fail(business.Serve(*listen, mux))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// known lets in who has the key.
func (a *agency) known(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !hmac.Equal([]byte(r.Header.Get("X-Api-Key")), []byte(a.key)) {
			business.Answer(w, http.StatusUnauthorized, map[string]string{"error": "KEY"})
			return
		}
		h(w, r)
	}
}

// find are the jobs with a word in their title, from the one at first.
func find(word string, first, most int) (found []job, more bool) {
	for _, j := range jobs() {
		if strings.Contains(strings.ToLower(j.title), strings.ToLower(word)) {
			found = append(found, j)
		}
	}
	found = found[min(max(first, 0), len(found)):]
	if len(found) > most {
		return found[:most], true
	}
	return found, false
}

// positions is the search of shape 1: pages by number, pay as text.
func (a *agency) positions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, _ := strconv.Atoi(q.Get("page"))
	size, _ := strconv.Atoi(q.Get("size"))
	if page < 1 || size < 1 {
		business.Answer(w, http.StatusBadRequest, map[string]string{"error": "PAGE"})
		return
	}
	found, more := find(q.Get("text"), (page-1)*size, size)
	items := []map[string]any{}
	for _, j := range found {
		items = append(items, map[string]any{"ref": j.no, "t": j.title, "place": j.town, "pay": fmt.Sprintf("%d-%d", j.from, j.to)})
	}
	business.Answer(w, http.StatusOK, map[string]any{"items": items, "more": more})
}

// vacancies is the search of shape 2: a POST, a cursor, nested fields.
func (a *agency) vacancies(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Query string `json:"query"`
		After string `json:"after"`
		Limit int    `json:"limit"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Limit < 1 {
		business.Answer(w, http.StatusBadRequest, map[string]string{"message": "query, limit"})
		return
	}
	first, _ := strconv.Atoi(strings.TrimPrefix(in.After, "at-"))
	found, more := find(in.Query, first, in.Limit)
	list := []map[string]any{}
	for _, j := range found {
		list = append(list, map[string]any{
			"uuid": fmt.Sprintf("v-%d", j.no), "headline": j.title,
			"location": map[string]string{"city": j.town}, "salary": map[string]int{"min": j.from, "max": j.to},
		})
	}
	cursor := ""
	if more {
		cursor = fmt.Sprintf("at-%d", first+len(found))
	}
	business.Answer(w, http.StatusOK, map[string]any{"data": map[string]any{"vacancies": list, "cursor": cursor}})
}

// apply writes an application down. The state of the job says how it went.
func (a *agency) apply(no, who string) (application, state string) {
	for _, j := range jobs() {
		if strconv.Itoa(j.no) != no {
			continue
		}
		if j.closed {
			return "", "closed"
		}
		application = no + "-" + who
		a.mu.Lock()
		defer a.mu.Unlock()
		a.applications[application], a.applicants[application] = j, who
		return application, ""
	}
	return "", "unknown"
}

// applyOld is that of shape 1, which tells by the status.
func (a *agency) applyOld(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Who string `json:"who"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in) // without a name it is refused
	if in.Who == "" {
		business.Answer(w, http.StatusBadRequest, map[string]string{"error": "WHO"})
		return
	}
	application, state := a.apply(r.PathValue("ref"), in.Who)
	switch state {
	case "closed":
		business.Answer(w, http.StatusConflict, map[string]string{"error": "CLOSED"})
	case "unknown":
		business.Answer(w, http.StatusNotFound, map[string]string{"error": "REF"})
	default:
		business.Answer(w, http.StatusCreated, map[string]string{"no": application})
	}
}

// applyNew is that of shape 2, which answers 200 whatever happens.
func (a *agency) applyNew(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Vacancy   string `json:"vacancy"`
		Candidate struct {
			ID string `json:"id"`
		} `json:"candidate"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in) // without a name it is refused
	if in.Candidate.ID == "" {
		business.Answer(w, http.StatusBadRequest, map[string]string{"message": "candidate"})
		return
	}
	application, state := a.apply(strings.TrimPrefix(in.Vacancy, "v-"), in.Candidate.ID)
	if state != "" {
		business.Answer(w, http.StatusOK, map[string]any{"ok": false, "reason": "vacancy_" + state})
		return
	}
	business.Answer(w, http.StatusOK, map[string]any{"ok": true, "application": map[string]string{"id": application}})
}

// read is what happens when an employer opens an application: Herald is told,
// signed as Standard Webhooks have it.
func (a *agency) read(w http.ResponseWriter, r *http.Request) {
	application := r.PathValue("application")
	a.mu.Lock()
	j, there := a.applications[application]
	who := a.applicants[application]
	a.mu.Unlock()
	if !there {
		business.Answer(w, http.StatusNotFound, map[string]string{"error": "APPLICATION"})
		return
	}
	body, err := json.Marshal(map[string]string{"application": application, "applicant": who, "job": j.title})
	if err == nil {
		err = a.report(r.Context(), "read-"+application, body)
	}
	if err != nil {
		business.Answer(w, http.StatusBadGateway, map[string]string{"error": err.Error()})
		return
	}
	business.Answer(w, http.StatusOK, map[string]bool{"reported": true})
}

func (a *agency) report(ctx context.Context, id string, body []byte) error {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	m := hmac.New(sha256.New, a.hook)
	fmt.Fprintf(m, "%s.%s.%s", id, now, body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.herald+"/v1/inbound/jobs/application_read", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", now)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("herald answered %s: %s", res.Status, why)
	}
	return nil
}
