package wording_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/wording"
	"github.com/herald-push/herald/push"
)

func template(locales map[string]push.Content) *push.Template {
	friend := "friend"
	return &push.Template{
		ID: "parcel", DefaultLocale: "en", Locales: locales,
		Variables: map[string]push.Variable{"name": {Default: &friend}, "count": {Type: wording.Number}, "gender": {}},
	}
}

// say makes a template of one text.
func say(locale, text string) *push.Template {
	t := template(map[string]push.Content{locale: {Title: text}})
	t.DefaultLocale = locale
	return t
}

func TestTextsAreFilledIn(t *testing.T) {
	const parcels = `{{count, plural, =0 {no parcels} one {# parcel} other {# parcels}}}`
	const paczki = `{{count, plural, one {# paczka} few {# paczki} many {# paczek} other {# paczki}}}`
	tests := map[string]struct {
		locale, text string
		values       map[string]string
		want         string
	}{
		"a variable":                         {"en", "Hello {{name}}!", map[string]string{"name": "Ada"}, "Hello Ada!"},
		"spaces around it":                   {"en", "Hello {{ name }}!", map[string]string{"name": "Ada"}, "Hello Ada!"},
		"its default":                        {"en", "Hello {{name}}!", nil, "Hello friend!"},
		"an empty value is a value":          {"en", "Hello {{name}}!", map[string]string{"name": ""}, "Hello !"},
		"nothing in a value is run":          {"en", "Hello {{name}}!", map[string]string{"name": "{{count}} <b>&"}, "Hello {{count}} <b>&!"},
		"one":                                {"en", parcels, map[string]string{"count": "1"}, "1 parcel"},
		"many":                               {"en", parcels, map[string]string{"count": "12"}, "12 parcels"},
		"none":                               {"en", parcels, map[string]string{"count": "0"}, "no parcels"},
		"a fraction":                         {"en", parcels, map[string]string{"count": "1.5"}, "1.5 parcels"},
		"one point nought is not one":        {"en", parcels, map[string]string{"count": "1.0"}, "1.0 parcels"},
		"Polish one":                         {"pl", paczki, map[string]string{"count": "1"}, "1 paczka"},
		"Polish few":                         {"pl", paczki, map[string]string{"count": "22"}, "22 paczki"},
		"Polish many":                        {"pl", paczki, map[string]string{"count": "12"}, "12 paczek"},
		"Polish fraction":                    {"pl", paczki, map[string]string{"count": "1.5"}, "1.5 paczki"},
		"Arabic two":                         {"ar", `{{count, plural, two {اثنان} other {#}}}`, map[string]string{"count": "2"}, "اثنان"},
		"Chinese has one":                    {"zh-Hant", `{{count, plural, one {x} other {# 件}}}`, map[string]string{"count": "1"}, "1 件"},
		"a choice":                           {"en", `{{gender, select, female {her} male {his} other {their}}} order`, map[string]string{"gender": "female"}, "her order"},
		"another":                            {"en", `{{gender, select, female {her} male {his} other {their}}} order`, map[string]string{"gender": "x"}, "their order"},
		"a variable in a plural in a choice": {"en", `{{gender, select, other {{{name}}: {{count, plural, other {# of {{count}}}}}}}}.`, map[string]string{"count": "3"}, "friend: 3 of 3."},
		"plain braces":                       {"en", `\{{name}} and { } \\ # \#`, nil, `{{name}} and { } \ # #`},
		"a plain hash in a plural":           {"en", `{{count, plural, other {\##}}}`, map[string]string{"count": "7"}, "#7"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{"count": "1", "gender": "x"}
			for k, v := range tt.values {
				values[k] = v
			}
			filled, err := wording.Fill(say(tt.locale, tt.text), values)
			if err != nil {
				t.Fatal(err)
			}
			if got := filled[push.LocaleKey(tt.locale)].Title; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func faultsOf(t *testing.T, err error) []string {
	t.Helper()
	var invalid *push.Invalid
	if err != nil && !errors.As(err, &invalid) {
		t.Fatalf("%v is no *push.Invalid", err)
	}
	if err == nil {
		return nil
	}
	var all []string
	for _, f := range invalid.Faults {
		all = append(all, f.Field+": "+f.Detail)
	}
	return all
}

func TestEveryFaultOfATemplateIsNamed(t *testing.T) {
	bad := "x"
	tests := map[string]struct {
		change func(*push.Template)
		want   []string
	}{
		"none": {func(*push.Template) {}, nil},
		"several at once": {func(t *push.Template) {
			t.Locales["de"] = push.Content{Title: "{{nmae}}", Body: "{{gender, plural, other {#}}}", Data: map[string]string{"k": "{{count"}}
		}, []string{
			"locales.de.title: at character 1: the variable nmae is not declared",
			"locales.de.body: at character 1: a plural needs a number, and gender is a string",
			"locales.de.data.k: at character 8: expected }} or a comma",
		}},
		"no title":              {func(t *push.Template) { t.Locales["de"] = push.Content{Body: "x"} }, []string{"locales.de.title: is missing"}},
		"no such language":      {func(t *push.Template) { t.Locales["deutsch!"] = push.Content{Title: "x"} }, []string{"locales.deutsch!: is no language tag"}},
		"two spellings":         {func(t *push.Template) { t.Locales["EN"] = push.Content{Title: "x"} }, []string{"locales.en: is there in another spelling too"}},
		"no default":            {func(t *push.Template) { t.DefaultLocale = "fr" }, []string{"default_locale: must be one of the locales"}},
		"a variable for nobody": {func(t *push.Template) { t.Variables["extra"] = push.Variable{} }, []string{"variables.extra: is used in no text"}},
		"a type unheard of":     {func(t *push.Template) { t.Variables["name"] = push.Variable{Type: "date"} }, []string{`variables.name.type: "date" is none of`}},
		"a default of no type":  {func(t *push.Template) { t.Variables["count"] = push.Variable{Type: "number", Default: &bad} }, []string{`variables.count.default: "x" is no number`}},
		"a name of no kind":     {func(t *push.Template) { t.Variables["1st"] = push.Variable{} }, []string{`variables.1st: must be a name`}},
		"no other":              {func(t *push.Template) { t.Locales["de"] = push.Content{Title: "{{count, plural, one {x}}}"} }, []string{"the branch other is missing"}},
		"a plural unheard of":   {func(t *push.Template) { t.Locales["de"] = push.Content{Title: "{{count, plural, some {x} other {y}}}"} }, []string{`"some" is none of zero`}},
		"a branch twice": {func(t *push.Template) {
			t.Locales["de"] = push.Content{Title: "{{count, plural, other {x} other {y}}}"}
		}, []string{"the branch other comes twice"}},
		"an open branch":    {func(t *push.Template) { t.Locales["de"] = push.Content{Title: "{{count, plural, other {x"} }, []string{"a branch has no closing }"}},
		"a form unheard of": {func(t *push.Template) { t.Locales["de"] = push.Content{Title: "{{count, date}}"} }, []string{"expected plural or select"}},
		"too deep": {func(t *push.Template) {
			t.Locales["de"] = push.Content{Title: strings.Repeat("{{gender, select, other {", 5) + "x" + strings.Repeat("}}}", 5)}
		}, []string{"more than 4 plurals"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl := template(map[string]push.Content{"en": {Title: "{{name}} {{gender}} {{count, plural, other {#}}}"}})
			tt.change(tpl)
			got := faultsOf(t, wording.Check(tpl))
			if len(got) < len(tt.want) || (tt.want == nil && got != nil) {
				t.Fatalf("faults = %q, want %q", got, tt.want)
			}
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("faults = %q, want %q", got, want)
				}
			}
		})
	}
}

func TestEveryFaultOfTheVariablesIsNamed(t *testing.T) {
	tpl := say("en", "{{name}} {{gender}} {{count}}")
	_, err := wording.Fill(tpl, map[string]string{"count": "many", "nmae": "x"})
	want := []string{
		`variables.count: "many" is no number`, "variables.gender: is missing: the template parcel needs it",
		"variables.nmae: is no variable of the template parcel",
	}
	if got := faultsOf(t, err); !slices.Equal(got, want) {
		t.Errorf("faults = %q, want %q", got, want)
	}
	long := say("en", strings.Repeat("{{name}}", 5)+"{{gender}}{{count}}")
	_, err = wording.Fill(long, map[string]string{"count": "1", "gender": "x", "name": strings.Repeat("y", wording.MaxValue)})
	if got := faultsOf(t, err); len(got) != 1 || !strings.Contains(got[0], "make the text of locale en 5122 bytes long") {
		t.Errorf("faults = %q", got)
	}
}

func TestLocalesFallBack(t *testing.T) {
	tpl := say("en", "en")
	for _, l := range []string{"zh-Hant", "zh", "de", "pt-BR"} {
		tpl.Locales[l] = push.Content{Title: l}
	}
	tpl.Variables = nil
	for locale, want := range map[string]string{
		"zh-Hant-TW": "zh-Hant", "zh-TW": "zh-Hant", "zh_HK": "zh-Hant", "zh-CN": "zh", "zh": "zh", "de-AT": "de", "DE": "de",
		"pt-BR": "pt-BR", "pt-PT": "en", "fr": "en", "": "en",
	} {
		_, got, err := wording.Preview(tpl, nil, locale)
		if err != nil || got.Title != want {
			t.Errorf("%q gets %q, %v; want %q", locale, got.Title, err, want)
		}
	}
}

func FuzzFill(f *testing.F) {
	for _, s := range []string{"{{name}}", "{{count, plural, one {#} other {{{name}}}}}", `\{{`, "{{gender, select, a {b} other {}}}"} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl := say("en", text+"x")
		tpl.Variables = map[string]push.Variable{"name": {}, "count": {Type: wording.Number}, "gender": {}}
		if wording.Check(tpl) != nil {
			return
		}
		_, _ = wording.Fill(tpl, map[string]string{"name": value, "count": "1", "gender": value})
	})
}
