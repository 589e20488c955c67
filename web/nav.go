package web

import (
	"net/url"
	"slices"
)

// The pages' menu. An entry is shown once there is a page of its name in
// [titles] and the house has what it shows.
var menu = [...]struct {
	Group   string
	Entries []place
}{
	{"Watch", []place{
		{"overview", "/", ""}, {"providers", "/providers", ""}, {"choice", "/choice", ""},
		{"journeys", "/journeys", ""}, {"explore", "/explore", "explorer"},
	}},
	{"Operate", []place{
		{"notifications", "/notifications", ""}, {"devices", "/devices", "desk"}, {"live", "/live", "desk"}, {"queues", "/queues", "desk"}, {"services", "/services", "desk"}, {"map", "/map", "desk"},
	}},
	{"Set up", []place{
		{"settings", "/settings", "admin"}, {"audit", "/audit", "operator"},
	}},
	{"Demo", []place{
		{"sandbox", "/sandbox", "sandbox"}, {"device", "/demo/device", "demo"}, {"chat", "/demo/chat", "demo"},
	}},
}

// place is one page of the menu.
type place struct {
	Name, Path string
	needs      string // what the house must have, or the viewer be; "" is nothing special
}

// parents are the entries that are lit for pages below them.
var parents = map[string]string{
	"notification": "notifications", "delivery": "notifications", "install": "devices", "user": "devices",
	"task": "queues", "secret": "settings", "hook": "settings", "service": "services",
}

// menuGroup and menuEntry are the menu as layout.html shows it.
type (
	menuGroup struct {
		Name    string
		Entries []menuEntry
	}
	menuEntry struct {
		Title, Link string
		Current     bool
	}
)

// menu lists the pages that there are for a role, with links that keep the app.
func (s *site) menu(page, app string, role Role) []menuGroup {
	if parent, ok := parents[page]; ok {
		page = parent
	}
	has := map[string]bool{
		"": true, "desk": s.API != nil, "operator": s.API != nil && role >= Operator, "admin": s.API != nil && role >= Admin,
		"sandbox": s.Sandbox != "", "explorer": s.Explorer != nil, "demo": s.playable(),
	}
	var groups []menuGroup
	for _, g := range menu {
		shown := menuGroup{Name: g.Group}
		for _, e := range g.Entries {
			if titles[e.Name] == "" || !has[e.needs] {
				continue
			}
			shown.Entries = append(shown.Entries, menuEntry{Title: titles[e.Name], Link: within(e.Path, app), Current: e.Name == page})
		}
		if len(shown.Entries) > 0 {
			groups = append(groups, shown)
		}
	}
	return groups
}

// section is where the app switcher leads: the list to which a page belongs.
func section(page string) string {
	if parent, ok := parents[page]; ok {
		page = parent
	}
	for _, g := range menu {
		if i := slices.IndexFunc(g.Entries, func(e place) bool { return e.Name == page }); i >= 0 {
			return g.Entries[i].Path
		}
	}
	return "/"
}

// about is a path about an app with one more word in its query.
func about(path, app, key, value string) string {
	return path + "?" + url.Values{"app": {app}, key: {value}}.Encode()
}

// within is a path about an app.
func within(path, app string) string {
	if app == "" {
		return path
	}
	return path + "?" + url.Values{"app": {app}}.Encode()
}

// playable tells whether a page of the browser can be a device.
func (s *site) playable() bool { return s.Tokens != nil && s.Devices != nil && s.WebSocket != "" }
