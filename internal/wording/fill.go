package wording

import (
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// isNumber takes whole and decimal numbers, as people write them in JSON.
func isNumber(s string) bool {
	digits, dots := 0, 0
	for i, c := range strings.TrimPrefix(s, "-") {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '.' && i > 0:
			dots++
		default:
			return false
		}
	}
	return digits > 0 && digits <= 18 && dots <= 1 && !strings.HasSuffix(s, ".")
}

// fill writes a text with the variables' values. It only ever copies them: a
// value that looks like a placeholder stays what it is.
func fill(b *strings.Builder, parts []part, values map[string]string, tag language.Tag, number string) {
	for _, p := range parts {
		switch {
		case p.hash:
			b.WriteString(number)
		case p.variable == "":
			b.WriteString(p.literal)
		case p.form == "":
			b.WriteString(values[p.variable])
		case p.form == "plural":
			value := values[p.variable]
			fill(b, p.branch("="+value, category(tag, value)), values, tag, value)
		default:
			fill(b, p.branch(values[p.variable]), values, tag, number)
		}
	}
}

// branch is the first of these that is there, or other.
func (p *part) branch(keys ...string) []part {
	for _, key := range keys {
		if parts, ok := p.branches[key]; ok {
			return parts
		}
	}
	return p.branches["other"]
}

// category is the plural of a number in a language, by Unicode's rules.
func category(tag language.Tag, number string) string {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	i, err := strconv.Atoi(whole)
	if err != nil {
		return "other"
	}
	trimmed := strings.TrimRight(fraction, "0")
	f, _ := strconv.Atoi(fraction) // "" is 0
	t, _ := strconv.Atoi(trimmed)
	switch plural.Cardinal.MatchPlural(tag, i%10_000_000, len(fraction), len(trimmed), f, t) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	default:
		return "other"
	}
}
