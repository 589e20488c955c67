package push

import (
	"encoding/json"
	"strings"
	"time"
)

// Template is the content of notifications in several languages, with places
// for variables. Package wording says what may stand in its texts.
type Template struct {
	App string `json:"-"`
	ID  string `json:"id"` // 1 to 64 bytes of [A-Za-z0-9_-]
	// DefaultLocale is that of devices whose language the template lacks.
	DefaultLocale string              `json:"default_locale"`
	Variables     map[string]Variable `json:"variables,omitempty"`
	Locales       map[string]Content  `json:"locales"` // by BCP 47 tag
	Version       int                 `json:"version"` // counts the writes, from 1
	CreatedAt     time.Time           `json:"created_at"`
	UpdatedAt     time.Time           `json:"updated_at"`
}

// Variable is one that a template's texts may use.
type Variable struct {
	Type string `json:"type,omitempty"` // string (default) or number
	// Default makes it optional.
	Default *string `json:"default,omitempty"`
}

// Content is what a notification says in one language.
type Content struct {
	Title     string                     `json:"title"`
	Body      string                     `json:"body,omitempty"`
	Data      map[string]string          `json:"data,omitempty"`
	Overrides map[string]json.RawMessage `json:"overrides,omitempty"`
}

// LocaleKey is the spelling by which locales are compared: "zh_TW" is "zh-tw".
func LocaleKey(tag string) string { return strings.ToLower(strings.ReplaceAll(tag, "_", "-")) }

// scripts are those that a region of Chinese writes in, where the tag does not
// say: its two scripts do not read as one language.
var scripts = map[string]string{
	"zh-tw": "zh-hant", "zh-hk": "zh-hant", "zh-mo": "zh-hant", "zh-cn": "zh-hans", "zh-sg": "zh-hans", "zh-my": "zh-hans",
}

// LocaleChain lists the keys that a device's locale falls back on, best first:
// "zh-Hant-TW" is zh-hant-tw, zh-hant, zh.
func LocaleChain(tag string) []string {
	var chain []string
	for key := LocaleKey(tag); key != ""; {
		chain = append(chain, key)
		if script := scripts[key]; script != "" {
			chain = append(chain, script)
		}
		cut := strings.LastIndexByte(key, '-')
		if cut < 0 {
			break
		}
		key = key[:cut]
	}
	return chain
}

// PickLocale is the key of the first of the locales' chains that is there; ""
// if none is.
func PickLocale(there map[string]Content, locales ...string) string {
	for _, locale := range locales {
		for _, key := range LocaleChain(locale) {
			if _, ok := there[key]; ok {
				return key
			}
		}
	}
	return ""
}
