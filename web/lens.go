package web

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Lens is what a page of numbers is about: one app, narrowed to a class, a
// provider and a group of devices, over [From, To). An empty word is any.
type Lens struct {
	App                      string
	Class, Provider          string
	Platform, Maker, Country string
	From, To                 time.Time
	Step                     time.Duration // of what is drawn over time: whole minutes
}

// Choices are the words to which a lens may be narrowed.
type Choices struct {
	Classes, Providers, Platforms, Makers, Countries []string
}

// narrowing is the part of a view that narrows it; the URL holds it.
type narrowing struct{ class, provider, platform, maker, country string }

// wordKeys are the words' names in a URL and how a filter is labelled.
var wordKeys = [...]struct{ key, label string }{
	{"class", "Class"}, {"provider", "Provider"}, {"platform", "Platform"}, {"maker", "Maker"}, {"country", "Country"},
}

// at is the word of a key.
func (n *narrowing) at(key string) *string {
	switch key {
	case "class":
		return &n.class
	case "provider":
		return &n.provider
	case "platform":
		return &n.platform
	case "maker":
		return &n.maker
	default:
		return &n.country
	}
}

// read takes the words from a query. One that no device could have had
// answers [ErrNotFound].
func (n *narrowing) read(q url.Values) error {
	for _, k := range wordKeys {
		word := q.Get(k.key)
		if len(word) > 64 || strings.ContainsFunc(word, unicode.IsControl) {
			return ErrNotFound
		}
		*n.at(k.key) = word
	}
	return nil
}

// lens is the view as the stores are asked about it.
func (v view) lens(now time.Time) Lens {
	return Lens{
		App: v.app, Class: v.class, Provider: v.provider, Platform: v.platform, Maker: v.maker, Country: v.country,
		From: now.Add(-v.window.Length), To: now, Step: v.window.Step,
	}
}

// values are the view as a URL holds it.
func (v view) values() url.Values {
	q := url.Values{"app": {v.app}, "window": {v.window.Name}}
	for _, k := range wordKeys {
		if word := *v.narrowing.at(k.key); word != "" {
			q.Set(k.key, word)
		}
	}
	return q
}

// With is a path about the same view, with some words changed: key, value, key,
// value. An empty value takes the word away.
func (v view) With(path string, changes ...string) string {
	q := v.values()
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return path + "?" + q.Encode()
}

// App is the app that is looked at.
func (v view) App() string { return v.app }

// Window is how far back one looks.
func (v view) Window() window { return v.window }

// Narrowed reports whether the view is about a part of the app.
func (v view) Narrowed() bool { return v.narrowing != narrowing{} }

// filter is one choice of the row of filters.
type filter struct {
	Key, Label, Chosen string
	Words              []string
}

// filters are the choices for a view. A chosen word that nothing has had of
// late is listed all the same.
func (v view) filters(c Choices) []filter {
	lists := [...][]string{c.Classes, c.Providers, c.Platforms, c.Makers, c.Countries}
	var all []filter
	for i, k := range wordKeys {
		chosen := *v.narrowing.at(k.key)
		list := lists[i]
		if chosen != "" && !slices.Contains(list, chosen) {
			list = append(list[:len(list):len(list)], chosen)
		}
		if len(list) > 1 || chosen != "" {
			all = append(all, filter{k.key, k.label, chosen, list})
		}
	}
	return all
}
