package sandbox

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Vendor is one vendor as the control API shows it.
type Vendor struct {
	Name     string   `json:"name"`
	URL      string   `json:"url"`
	Settings Settings `json:"settings"`
	Counts   Counts   `json:"counts"`
}

func (v *vendor) view() Vendor {
	return Vendor{Name: v.name, URL: v.url, Settings: *v.settings.Load(), Counts: v.counts.snapshot()}
}

// Control serves the control API, under /control/.
func (s *Sandbox) Control() http.Handler {
	mux := http.NewServeMux()
	each := func(pattern string, h func(w http.ResponseWriter, r *http.Request, v *vendor)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v := s.vendors[r.PathValue("vendor")]
			if v == nil {
				refuse(w, http.StatusNotFound, "the vendors are "+strings.Join(Vendors[:], ", "))
				return
			}
			h(w, r, v)
		})
	}
	mux.HandleFunc("GET /control/vendors", s.list)
	each("GET /control/vendors/{vendor}", func(w http.ResponseWriter, _ *http.Request, v *vendor) {
		writeJSON(w, http.StatusOK, v.view())
	})
	each("GET /control/vendors/{vendor}/settings", func(w http.ResponseWriter, _ *http.Request, v *vendor) {
		writeJSON(w, http.StatusOK, v.settings.Load())
	})
	each("PUT /control/vendors/{vendor}/settings", putSettings)
	each("PATCH /control/vendors/{vendor}/settings", patchSettings)
	each("GET /control/vendors/{vendor}/dead", listDead)
	each("PUT /control/vendors/{vendor}/dead/{token}", putDead)
	each("DELETE /control/vendors/{vendor}/dead/{token}", func(w http.ResponseWriter, r *http.Request, v *vendor) {
		v.revive(r.PathValue("token"))
		w.WriteHeader(http.StatusNoContent)
	})
	each("GET /control/vendors/{vendor}/devices/{token}", getDevice)
	each("GET /control/vendors/{vendor}/messages", listMessages)
	each("GET /control/credentials/{vendor}", func(w http.ResponseWriter, _ *http.Request, v *vendor) {
		writeJSON(w, http.StatusOK, s.Credentials(v.name))
	})
	for _, root := range []string{"/sandbox/{vendor}", "/control/vendors/{vendor}"} {
		each("GET "+root+"/faults", getScript)
		each("POST "+root+"/faults", postScript)
		each("DELETE "+root+"/faults", func(w http.ResponseWriter, _ *http.Request, v *vendor) {
			v.script.set(nil)
			w.WriteHeader(http.StatusNoContent)
		})
		each("GET "+root+"/requests", listRequests)
	}
	mux.HandleFunc("POST /control/reset", func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range s.vendors {
			v.reset()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /control/ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = io.WriteString(w, s.CA())
	})
	return onlyJSON(mux)
}

// onlyJSON refuses changes that a page of another site could have a browser
// send without asking first.
func onlyJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.Method != http.MethodGet && r.Method != http.MethodHead && kind != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *Sandbox) list(w http.ResponseWriter, _ *http.Request) {
	all := make([]Vendor, len(Vendors))
	for i, name := range Vendors {
		all[i] = s.vendors[name].view()
	}
	writeJSON(w, http.StatusOK, map[string]any{"vendors": all})
}

func putSettings(w http.ResponseWriter, r *http.Request, v *vendor) {
	changeSettings(w, r, v, Settings{})
}

func patchSettings(w http.ResponseWriter, r *http.Request, v *vendor) {
	changeSettings(w, r, v, *v.settings.Load())
}

// changeSettings lays the body over s.
func changeSettings(w http.ResponseWriter, r *http.Request, v *vendor, s Settings) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := v.set(s); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, v.settings.Load())
}

type deadToken struct {
	Token string    `json:"token"`
	Since time.Time `json:"since"`
}

func listDead(w http.ResponseWriter, _ *http.Request, v *vendor) {
	v.mu.RLock()
	dead := make([]deadToken, 0, len(v.dead))
	for token, since := range v.dead {
		dead = append(dead, deadToken{token, since})
	}
	v.mu.RUnlock()
	slices.SortFunc(dead, func(a, b deadToken) int { return strings.Compare(a.Token, b.Token) })
	writeJSON(w, http.StatusOK, map[string]any{"dead": dead})
}

func putDead(w http.ResponseWriter, r *http.Request, v *vendor) {
	d := deadToken{Token: r.PathValue("token"), Since: time.Now().UTC()}
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil && err != io.EOF {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !v.kill(r.PathValue("token"), d.Since) {
		refuse(w, http.StatusBadRequest, "there are "+strconv.Itoa(maxDead)+" dead tokens already")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func getDevice(w http.ResponseWriter, r *http.Request, v *vendor) {
	token := r.PathValue("token")
	received, shows := v.shelf.device(token)
	writeJSON(w, http.StatusOK, map[string]any{
		"token": token, "received": received, "shows": messages(v.name, shows),
	})
}

func getScript(w http.ResponseWriter, _ *http.Request, v *vendor) {
	writeJSON(w, http.StatusOK, map[string]any{"rules": v.script.view()})
}

func postScript(w http.ResponseWriter, r *http.Request, v *vendor) {
	rules, err := parseScript(json.NewDecoder(r.Body), v.words.knows)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	v.script.set(rules)
	getScript(w, r, v)
}

func listRequests(w http.ResponseWriter, r *http.Request, v *vendor) {
	limit, ok := limitOf(w, r)
	if ok {
		writeJSON(w, http.StatusOK, map[string]any{"requests": v.log.newest(limit, r.URL.Query().Get("contains"))})
	}
}

// limitOf reads the parameter limit, and refuses one that is not a number.
func limitOf(w http.ResponseWriter, r *http.Request) (limit int, ok bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 50, true
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		refuse(w, http.StatusBadRequest, "limit must be a positive number")
		return 0, false
	}
	return limit, true
}

func listMessages(w http.ResponseWriter, r *http.Request, v *vendor) {
	if limit, ok := limitOf(w, r); ok {
		writeJSON(w, http.StatusOK, map[string]any{"messages": messages(v.name, v.shelf.newest(limit))})
	}
}

func refuse(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, map[string]string{"error": detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // only values that always encode come here
		status, text = http.StatusInternalServerError, []byte(`{"error":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
