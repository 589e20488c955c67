package custom

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
)

// signConfig is a recipe for a signature, of a request or of a report.
type signConfig struct {
	Kind     string `json:"kind"`     // see hashes; or "basic", "bearer"
	Secret   string `json:"secret"`   // a template over vars; for basic "user:password"
	Over     string `json:"over"`     // a template of what is signed
	Into     string `json:"into"`     // a request's: "header:X-Sign", "query:sign" or "body:sign"
	From     string `json:"from"`     // a report's: "header:X-Sign", "query:sign" or "item:path"
	Encoding string `json:"encoding"` // "hex" (default) or "base64"
}

// hashes are the kinds that are computed. The ones without hmac are digests of
// a text that must hold the secret itself.
var hashes = map[string]func() hash.Hash{
	"hmac-sha256": sha256.New, "hmac-sha1": sha1.New, "sha256": sha256.New, "sha1": sha1.New, "md5": md5.New,
}

// Where a signature is.
const (
	inHeader = "header"
	inQuery  = "query"
	inBody   = "body"
	inItem   = "item"
)

// signer is a compiled recipe.
type signer struct {
	kind, secret string
	over         *text
	base64       bool
	place, key   string
	path         path // of inItem
}

func (c *compiler) signer(prefix string, sc *signConfig, hasBody bool) *signer {
	s := c.recipe(prefix, sc, &signing{scope: sample(c.vars)})
	s.place, s.key = c.place(prefix+"into", sc.Into, s, inHeader, inQuery, inBody)
	if s.place == inBody && !hasBody {
		c.faults.Add(prefix+"into", "is the body, and there is none")
	}
	if s.place == inHeader {
		c.header(prefix+"into", s.key)
	}
	return s
}

// recipe compiles what requests and reports have in common.
func (c *compiler) recipe(prefix string, sc *signConfig, like any) *signer {
	s := &signer{kind: sc.Kind, base64: sc.Encoding == "base64", place: inHeader, key: "Authorization"}
	secret := c.text(prefix+"secret", sc.Secret, &scope{Vars: c.vars})
	s.secret, _ = secret.render(&scope{Vars: c.vars})
	c.faults.Require(prefix+"secret", sc.Secret)
	if sc.Encoding != "" && sc.Encoding != "hex" && sc.Encoding != "base64" {
		c.faults.Add(prefix+"encoding", "must be hex or base64")
	}
	plain := sc.Kind == "basic" || sc.Kind == "bearer"
	switch {
	case hashes[sc.Kind] == nil && !plain:
		c.faults.Add(prefix+"kind", "must be hmac-sha256, hmac-sha1, sha256, sha1, md5, basic or bearer")
	case plain && sc.Over != "":
		c.faults.Add(prefix+"over", "has no meaning with basic and bearer")
	case sc.Kind == "basic" && s.secret != "" && !strings.Contains(s.secret, ":"):
		c.faults.Add(prefix+"secret", "must be user:password")
	case plain:
	default:
		c.faults.Require(prefix+"over", sc.Over)
		s.over = c.text(prefix+"over", sc.Over, like)
		if !strings.HasPrefix(sc.Kind, "hmac") && !s.over.uses["Secret"] && sc.Over != "" {
			c.faults.Add(prefix+"over", "must hold .Secret, or anybody could make the signature")
		}
	}
	return s
}

// place reads "header:X-Sign".
func (c *compiler) place(field, source string, s *signer, places ...string) (where, key string) {
	if source == "" && s.over == nil {
		return inHeader, "Authorization"
	}
	where, key, _ = strings.Cut(source, ":")
	if key == "" || !slices.Contains(places, where) {
		c.faults.Add(field, "must be one of "+strings.Join(places, ":…, ")+":…")
		return inQuery, "sign"
	}
	return where, key
}

// make computes the signature over a scope of the template's.
func (s *signer) make(scope any) (string, error) {
	switch s.kind {
	case "basic":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.secret)), nil
	case "bearer":
		return "Bearer " + s.secret, nil
	}
	over, err := s.over.render(scope)
	if err != nil {
		return "", err
	}
	h := hashes[s.kind]()
	if strings.HasPrefix(s.kind, "hmac") {
		h = hmac.New(hashes[s.kind], []byte(s.secret))
	}
	h.Write([]byte(over))
	if s.base64 {
		return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// holds reports whether a signature that came is the one over the scope.
func (s *signer) holds(came string, scope any) bool {
	want, err := s.make(scope)
	if err != nil || came == "" {
		return false
	}
	if !s.base64 && s.over != nil {
		came = strings.ToLower(came) // hexadecimal digits come in both cases
	}
	return hmac.Equal([]byte(came), []byte(want))
}
