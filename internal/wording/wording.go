// Package wording fills templates in. Their texts have places for variables and
// know plurals and choices, in the manner of ICU's MessageFormat:
//
//	{{name}} has {{count, plural, =0 {no parcels} one {# parcel} other {# parcels}}}
//	{{gender, select, female {her} male {his} other {their}}} order
//
// A text is data: nothing in it or in a variable is ever run. A backslash makes
// the next of \ { } # plain. docs/scheduling.md tells it to callers.
package wording

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/herald-push/herald/push"
)

// Limits of a template.
const (
	MaxLocales   = 100
	MaxVariables = 50
	MaxValue     = 1024 // bytes of a variable's value
	// MaxContent is what title, body and data of one language may weigh
	// together: beyond it no vendor takes a notification.
	MaxContent = 4096
	// MaxFilled is what all languages of a filled template may weigh together,
	// for the notification carries them.
	MaxFilled = 64 << 10
)

// Types of variables.
const (
	String = "string"
	Number = "number"
)

// Check finds every fault of a template, each under the path of its field. It
// is nil or a *[push.Invalid].
func Check(t *push.Template) error {
	c := &checker{t: t, used: make(map[string]bool)}
	c.variables()
	if len(t.Locales) == 0 || len(t.Locales) > MaxLocales {
		c.add("locales", "must have 1 to %d entries, not %d", MaxLocales, len(t.Locales))
	}
	seen := make(map[string]bool)
	for _, locale := range slices.Sorted(maps.Keys(t.Locales)) {
		field := "locales." + locale
		if _, err := language.Parse(locale); err != nil {
			c.add(field, "is no language tag of BCP 47, such as en-GB")
		}
		if seen[push.LocaleKey(locale)] {
			c.add(field, "is there in another spelling too")
		}
		seen[push.LocaleKey(locale)] = true
		c.content(field, t.Locales[locale])
	}
	if !seen[push.LocaleKey(t.DefaultLocale)] {
		c.add("default_locale", "must be one of the locales")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		if !c.used[name] && len(c.faults) == 0 {
			c.add("variables."+name, "is used in no text")
		}
	}
	if len(c.faults) > 0 {
		return &push.Invalid{Faults: c.faults}
	}
	return nil
}

type checker struct {
	t      *push.Template
	faults []push.Fault
	used   map[string]bool
}

func (c *checker) add(field, format string, args ...any) {
	c.faults = append(c.faults, push.Fault{Field: field, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) variables() {
	if len(c.t.Variables) > MaxVariables {
		c.add("variables", "must have at most %d entries, not %d", MaxVariables, len(c.t.Variables))
	}
	for _, name := range slices.Sorted(maps.Keys(c.t.Variables)) {
		v, field := c.t.Variables[name], "variables."+name
		if !ValidName(name) {
			c.add(field, `must be a name of 1 to 64 letters, digits or "_"`)
		}
		if v.Type != "" && v.Type != String && v.Type != Number {
			c.add(field+".type", "%q is none of string, number", v.Type)
		}
		if v.Default != nil {
			if why := wrong(v, *v.Default); why != "" {
				c.add(field+".default", "%s", why)
			}
		}
	}
}

// wrong tells why a value is none for a variable; "" if it is.
func wrong(v push.Variable, value string) string {
	switch {
	case v.Type == Number && !isNumber(value):
		return fmt.Sprintf("%.20q is no number", value)
	case len(value) > MaxValue:
		return fmt.Sprintf("has %d bytes; at most %d are taken", len(value), MaxValue)
	}
	return ""
}

func (c *checker) content(field string, content push.Content) {
	if strings.TrimSpace(content.Title) == "" {
		c.add(field+".title", "is missing")
	}
	weight := len(content.Title) + len(content.Body)
	c.text(field+".title", content.Title)
	c.text(field+".body", content.Body)
	for _, key := range slices.Sorted(maps.Keys(content.Data)) {
		c.text(field+".data."+key, content.Data[key])
		weight += len(key) + len(content.Data[key])
	}
	if weight > 4*MaxContent {
		c.add(field, "has %d bytes; a template takes %d", weight, 4*MaxContent)
	}
}

// text checks one text and the variables in it.
func (c *checker) text(field, text string) {
	parts, err := parse(text)
	if err != nil {
		c.add(field, "%s", err.Error())
		return
	}
	c.parts(field, parts)
}

func (c *checker) parts(field string, parts []part) {
	for _, p := range parts {
		if p.variable == "" {
			continue
		}
		v, declared := c.t.Variables[p.variable]
		c.used[p.variable] = true
		switch {
		case !declared:
			c.add(field, "at character %d: the variable %s is not declared", p.at+1, p.variable)
		case p.form == "plural" && v.Type != Number:
			c.add(field, "at character %d: a plural needs a number, and %s is a string", p.at+1, p.variable)
		}
		for _, key := range slices.Sorted(maps.Keys(p.branches)) {
			c.parts(field, p.branches[key])
		}
	}
}

// Fill fills a checked template in, in all its languages, by the key of their
// locales. Its faults name the variables that are missing, unknown, or of the
// wrong type.
func Fill(t *push.Template, variables map[string]string) (map[string]push.Content, error) {
	values, err := valuesOf(t, variables)
	if err != nil {
		return nil, err
	}
	filled := make(map[string]push.Content, len(t.Locales))
	var faults []push.Fault
	total := 0
	for _, locale := range slices.Sorted(maps.Keys(t.Locales)) {
		content, weight := fillContent(locale, t.Locales[locale], values)
		if total += weight; weight > MaxContent {
			faults = append(faults, push.Fault{Field: "variables", Detail: fmt.Sprintf(
				"make the text of locale %s %d bytes long, and no vendor takes more than %d", locale, weight, MaxContent)})
		}
		filled[push.LocaleKey(locale)] = content
	}
	if total > MaxFilled {
		faults = append(faults, push.Fault{Field: "variables", Detail: fmt.Sprintf(
			"make the texts of all locales %d bytes long; at most %d are taken", total, MaxFilled)})
	}
	if len(faults) > 0 {
		return nil, &push.Invalid{Faults: faults}
	}
	return filled, nil
}

func valuesOf(t *push.Template, given map[string]string) (map[string]string, error) {
	var faults []push.Fault
	add := func(name, detail string) {
		faults = append(faults, push.Fault{Field: "variables." + name, Detail: detail})
	}
	values := make(map[string]string, len(t.Variables))
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		v := t.Variables[name]
		value, ok := given[name]
		switch {
		case ok:
			if why := wrong(v, value); why != "" {
				add(name, why)
			}
		case v.Default != nil:
			value = *v.Default
		default:
			add(name, "is missing: the template "+t.ID+" needs it")
		}
		values[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := t.Variables[name]; !ok {
			add(fmt.Sprintf("%.64s", name), "is no variable of the template "+t.ID)
		}
	}
	if len(faults) > 0 {
		return nil, &push.Invalid{Faults: faults}
	}
	return values, nil
}

func fillContent(locale string, c push.Content, values map[string]string) (filled push.Content, weight int) {
	tag := language.Make(locale)
	write := func(text string) string {
		parts, err := parse(text)
		if err != nil {
			return text // it was checked when it was saved
		}
		var b strings.Builder
		fill(&b, parts, values, tag, "")
		weight += b.Len()
		return b.String()
	}
	filled = push.Content{Title: write(c.Title), Body: write(c.Body), Overrides: c.Overrides}
	for key, text := range c.Data {
		if filled.Data == nil {
			filled.Data = make(map[string]string, len(c.Data))
		}
		weight += len(key)
		filled.Data[key] = write(text)
	}
	return filled, weight
}

// Templates keeps templates; one that is not there is [push.ErrNotFound].
type Templates interface {
	Template(ctx context.Context, app, id string) (*push.Template, error)
}

// life is how long a book believes what it read.
const life = 2 * time.Second

// Book words notifications by templates. It is safe for concurrent use.
type Book struct {
	templates Templates
	now       func() time.Time
	mu        sync.Mutex
	known     map[bookKey]page
}

type (
	bookKey struct{ app, id string }
	page    struct {
		t     *push.Template
		until time.Time
	}
)

// NewBook makes a book of templates.
func NewBook(templates Templates) *Book {
	return &Book{templates: templates, now: time.Now, known: make(map[bookKey]page)}
}

// Word gives a notification that names a template its content in all languages:
// the default one's as its own, the others in Localized. What the caller's own
// data and overrides say comes before the template's. Its faults are a
// *[push.Invalid] with the fields template and variables.
func (b *Book) Word(ctx context.Context, n *push.Notification) error {
	t, err := b.template(ctx, n.App, n.Template)
	if errors.Is(err, push.ErrNotFound) {
		return &push.Invalid{Faults: []push.Fault{{Field: "template", Detail: "there is no such template"}}}
	}
	if err != nil {
		return fmt.Errorf("wording: template %s: %w", n.Template, err)
	}
	filled, err := Fill(t, n.Variables)
	if err != nil {
		return err
	}
	for key, c := range filled {
		c.Data, c.Overrides = over(c.Data, n.Data), over(c.Overrides, n.Overrides)
		filled[key] = c
	}
	base := push.LocaleKey(t.DefaultLocale)
	c := filled[base]
	n.Title, n.Body, n.Data, n.Overrides = c.Title, c.Body, c.Data, c.Overrides
	n.Localized, n.Variables = filled, nil // they are in the text now
	return nil
}

// over is both maps in one; what top says holds.
func over[V any](bottom, top map[string]V) map[string]V {
	if len(top) == 0 {
		return bottom
	}
	all := maps.Clone(bottom)
	if all == nil {
		all = make(map[string]V, len(top))
	}
	maps.Copy(all, top)
	return all
}

func (b *Book) template(ctx context.Context, app, id string) (*push.Template, error) {
	key := bookKey{app, id}
	b.mu.Lock()
	p := b.known[key]
	b.mu.Unlock()
	if p.t != nil && b.now().Before(p.until) {
		return p.t, nil
	}
	t, err := b.templates.Template(ctx, app, id)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.known) > 1000 {
		clear(b.known)
	}
	b.known[key] = page{t, b.now().Add(life)}
	return t, nil
}

// Changed makes the next notification read a template again at once. Other
// processes do so within seconds.
func (b *Book) Changed(app, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, bookKey{app, id})
}

// Preview is a template's content in the first of these locales that it has, or
// else in its default, and the key of that.
func Preview(t *push.Template, variables map[string]string, locales ...string) (string, push.Content, error) {
	filled, err := Fill(t, variables)
	if err != nil {
		return "", push.Content{}, err
	}
	key := cmp.Or(push.PickLocale(filled, locales...), push.LocaleKey(t.DefaultLocale))
	return key, filled[key], nil
}
