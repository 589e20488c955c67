package audience

import "strings"

const (
	versionParts  = 6
	versionDigits = 10
)

// VersionKey is a text that sorts as the version in s does by its numbers:
// "2.9" before "2.10", and "2.0" is "2". The version begins with the first
// digit ("iOS 18.1" is 18.1) and ends with what is neither digit nor dot
// ("2.0-beta" is 2.0). It is "" where there is no number.
func VersionKey(s string) string {
	start := strings.IndexFunc(s, isDigit)
	if start < 0 {
		return ""
	}
	s = s[start:]
	if end := strings.IndexFunc(s, func(r rune) bool { return !isDigit(r) && r != '.' }); end >= 0 {
		s = s[:end]
	}
	parts := strings.Split(s, ".")
	parts = parts[:min(len(parts), versionParts)]
	last := 0 // parts up to the last that is not zero
	for i, part := range parts {
		part = strings.TrimLeft(part, "0")
		if len(part) > versionDigits {
			part = strings.Repeat("9", versionDigits)
		}
		if part != "" {
			last = i + 1
		}
		parts[i] = strings.Repeat("0", versionDigits-len(part)) + part
	}
	return strings.Join(parts[:max(1, last)], ".")
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
