package custom

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"text/template"
	"time"
)

// functions are what templates can call besides Go's own and, or, not, eq, ne,
// lt, le, gt, ge, len, index, print and urlquery.
var functions = template.FuncMap{
	"json":        toJSON,
	"base64":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"md5":         digester(md5.New),
	"sha1":        digester(sha1.New),
	"sha256":      digester(sha256.New),
	"hmac_sha1":   keyed(sha1.New),
	"hmac_sha256": keyed(sha256.New),
	"lower":       strings.ToLower,
	"upper":       strings.ToUpper,
	"cut":         cut,
	"min":         func(a, b int64) int64 { return min(a, b) },
	"max":         func(a, b int64) int64 { return max(a, b) },
	"mul":         func(a, b int64) int64 { return a * b },
	"default":     func(otherwise, s string) string { return either(s, otherwise) },
	"date":        date,
}

// toJSON encodes without turning < and > into escapes, which vendors count as
// six bytes each.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// digester hashes its arguments one after the other, in hexadecimal digits:
// {{sha256 .Vars.app_key .Now.UnixMilli .Vars.master_secret}}.
func digester(h func() hash.Hash) func(parts ...any) string {
	return func(parts ...any) string { return digest(h(), parts) }
}

// keyed is an HMAC in hexadecimal digits: {{hmac_sha256 .Vars.secret .Body}}.
func keyed(h func() hash.Hash) func(secret string, parts ...any) string {
	return func(secret string, parts ...any) string { return digest(hmac.New(h, []byte(secret)), parts) }
}

func digest(h hash.Hash, parts []any) string {
	for _, p := range parts {
		_, _ = fmt.Fprint(h, p) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// cut keeps the first n characters.
func cut(n int, s string) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// date writes a time by Go's layout in the zone that is so many hours east of
// Greenwich: {{date "2006-01-02 15:04:05" 8 .Expires}}. A zero time is "".
func date(layout string, east int, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(time.FixedZone("", east*3600)).Format(layout)
}
