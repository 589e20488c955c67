package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The parts of the settings, each an address of its own.
var settingsTabs = [...]tab{
	{"app", "App and policies"}, {"keys", "Keys"}, {"credentials", "Credentials"}, {"templates", "Templates"},
	{"webhooks", "Webhooks"}, {"members", "Members"},
}

type tab struct{ Name, Label string }

// settingsView is what settings.html shows; only the parts of its tab are read.
type settingsView struct {
	listing
	Tab  string
	Tabs []tab

	Policy    appSettings
	Keys      []apiKey
	Providers []givenCredentials
	Templates []wording
	Template  wording // the one that is edited
	Webhooks  []webhook
	Members   []member
	Classes   []string
	Scopes    []string
	Roles     []string
	Events    []string
	House     bool // the viewer may make apps
}

type (
	appSettings struct {
		Name   string `json:"name"`
		Policy struct {
			SMSClasses []string `json:"sms_classes"`
			Timezone   string   `json:"timezone"`
			Locale     string   `json:"locale"`
			QuietHours struct {
				From    string   `json:"from"`
				To      string   `json:"to"`
				Classes []string `json:"classes"`
				Action  string   `json:"action"`
			} `json:"quiet_hours"`
			Caps      json.RawMessage `json:"caps"`
			SMSBudget int64           `json:"sms_budget_micros_per_day"`
		} `json:"policy"`
	}
	apiKey struct {
		ID        string    `json:"id"`
		Name      string    `json:"name"`
		Scopes    []string  `json:"scopes"`
		CreatedAt time.Time `json:"created_at"`
	}
	givenCredentials struct {
		Provider  string    `json:"provider"`
		Given     bool      `json:"given"`
		Version   int       `json:"version"`
		UpdatedAt time.Time `json:"updated_at"`
	}
	wording struct {
		ID            string                     `json:"id"`
		DefaultLocale string                     `json:"default_locale"`
		Variables     json.RawMessage            `json:"variables"`
		Locales       map[string]json.RawMessage `json:"locales"`
		Version       int                        `json:"version"`
		UpdatedAt     time.Time                  `json:"updated_at"`
	}
	webhook struct {
		ID           string    `json:"id"`
		URL          string    `json:"url"`
		Description  string    `json:"description"`
		Events       []string  `json:"events"`
		Enabled      bool      `json:"enabled"`
		DisabledWhy  string    `json:"disabled_why"`
		FailingSince time.Time `json:"failing_since"`
	}
	member struct {
		App       string    `json:"app"`
		Email     string    `json:"email"`
		Role      string    `json:"role"`
		UpdatedAt time.Time `json:"updated_at"`
	}
)

// Budget is the day's budget for text messages, in the app's currency.
func (v settingsView) Budget() string {
	if v.Policy.Policy.SMSBudget == 0 {
		return ""
	}
	return decimal(float64(v.Policy.Policy.SMSBudget)/1e6, 2)
}

// Caps are the caps as they are typed.
func (v settingsView) Caps() string { return pretty(v.Policy.Policy.Caps) }

// Languages names the languages of a template.
func (t wording) Languages() string {
	var all []string
	for locale := range t.Locales {
		all = append(all, locale)
	}
	slices.Sort(all)
	out := ""
	for i, l := range all {
		if i > 0 {
			out += ", "
		}
		out += l
	}
	return out
}

// settings serves /settings?tab=.
func (s *site) settings(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Admin); err != nil {
		return err
	}
	page := settingsView{
		listing: list(r, v.app, sess.roles.In(v.app), "/settings", "after", "tab", "template"), Tab: "app", Tabs: settingsTabs[:],
		Classes: []string{"otp", "transactional", "chat", "call", "marketing"}, Scopes: []string{"send", "read", "device", "operate", "admin"},
		Roles: roleNames[1:], Events: []string{"*"}, House: sess.roles[AllApps] >= Admin,
	}
	if t := page.On("tab"); slices.ContainsFunc(page.Tabs, func(x tab) bool { return x.Name == t }) {
		page.Tab = t
	}
	if err := s.readSettings(r, sess, v.app, &page); err != nil {
		return err
	}
	s.render(w, r, sess, http.StatusOK, "settings", page)
	return nil
}

func (s *site) readSettings(r *http.Request, sess *session, app string, page *settingsView) error {
	var into struct {
		Keys      *[]apiKey           `json:"keys"`
		Providers *[]givenCredentials `json:"providers"`
		Templates *[]wording          `json:"templates"`
		Webhooks  *[]webhook          `json:"webhooks"`
		Members   *[]member           `json:"members"`
	}
	into.Keys, into.Providers, into.Templates, into.Webhooks, into.Members = &page.Keys, &page.Providers, &page.Templates, &page.Webhooks, &page.Members
	switch page.Tab {
	case "keys":
		return s.get(r, sess, app, apiPath(nil, "apps", app, "keys"), &into)
	case "credentials":
		return s.get(r, sess, app, apiPath(nil, "apps", app, "providers"), &into)
	case "webhooks":
		return s.get(r, sess, app, "/v1/webhooks", &into)
	case "members":
		return s.get(r, sess, app, apiPath(nil, "apps", app, "members"), &into)
	case "templates":
		if err := s.get(r, sess, app, apiPath(url.Values{"limit": {"1000"}}, "templates"), &into); err != nil {
			return err
		}
		if id := page.On("template"); id != "" {
			return s.get(r, sess, app, apiPath(nil, "templates", id), &page.Template)
		}
		return nil
	default:
		return s.get(r, sess, app, apiPath(nil, "apps", app), &page.Policy)
	}
}

// Text is the template as it is typed: its body for the API.
func (t wording) Text() string {
	if t.ID == "" {
		return `{
  "default_locale": "en",
  "variables": {"name": {"default": "friend"}},
  "locales": {
    "en": {"title": "Hello {{name}}", "body": "Welcome."}
  }
}`
	}
	text, err := json.MarshalIndent(map[string]any{"default_locale": t.DefaultLocale, "variables": t.Variables, "locales": t.Locales}, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

// appID is what an app may be called: it stands in addresses and file names.
var appID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// createApp serves POST /apps. Who may do everything in every app may make one;
// one that is there is left as it is.
func (s *site) createApp(w http.ResponseWriter, r *http.Request, sess *session) error {
	if err := sess.need(AllApps, Admin); err != nil {
		return err
	}
	apps, err := s.Apps.Apps(r.Context())
	if err != nil {
		return fmt.Errorf("web: list apps: %w", err)
	}
	id, name := strings.TrimSpace(r.PostFormValue("id")), strings.TrimSpace(r.PostFormValue("name"))
	if name == "" {
		name = id
	}
	no := ""
	switch {
	case !appID.MatchString(id):
		no = "must be 1 to 64 small letters, digits, _ and -, and not begin with _ or -"
	case slices.ContainsFunc(apps, func(a App) bool { return a.ID == id }):
		no = "is there already"
	}
	if no != "" {
		return s.refuseChange(w, r, sess, &refusal{http.StatusUnprocessableEntity, "id " + no, []fault{{"id", no}}})
	}
	err = s.ask(r, sess, id, http.MethodPut, apiPath(nil, "apps", id), map[string]any{"name": name, "policy": map[string]any{}}, nil)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		return s.refuseChange(w, r, sess, refused)
	}
	if err != nil {
		return err
	}
	to := about("/settings", id, "tab", "keys")
	if r.Header.Get("Accept") == "application/json" {
		return writeJSON(w, map[string]any{"done": "Made", "to": to})
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
