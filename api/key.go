package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

// Scope is something a key allows its bearer to do.
type Scope string

// The scopes of a key. Admin includes all others.
const (
	ScopeSend    Scope = "send"    // send, validate and cancel notifications
	ScopeRead    Scope = "read"    // read devices, progress and deliveries
	ScopeDevice  Scope = "device"  // register devices, mint their tokens, report receipts
	ScopeOperate Scope = "operate" // pause, cancel, switch lanes, retry what was given up
	ScopeAdmin   Scope = "admin"   // the app itself, its keys and credentials
)

// Scopes lists every scope.
var Scopes = [...]Scope{ScopeSend, ScopeRead, ScopeDevice, ScopeOperate, ScopeAdmin}

// Key is an API key as it is stored: never the key itself.
type Key struct {
	ID        string // 8 characters, the public part of the key
	App       string
	Name      string // what its owner calls it
	Scopes    []Scope
	Hash      [sha256.Size]byte // SHA-256 of the whole key
	CreatedAt time.Time
}

const (
	keyPrefix    = "hk_"
	keyIDLen     = 8
	keySecretLen = 43 // 32 random bytes in base64
)

// NewKey makes a key for an app and returns it with its text,
// "hk_<id>_<secret>", which can be shown now and never again.
func NewKey(app, name string, scopes []Scope, now time.Time) (k Key, text string) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: it crashes the program instead
	id := strings.ToLower(rand.Text()[:keyIDLen])
	text = keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
	return Key{
		ID: id, App: app, Name: name, Scopes: scopes,
		Hash: sha256.Sum256([]byte(text)), CreatedAt: now.UTC(),
	}, text
}

// keyID takes the public part out of a key's text; ok is false if the text
// cannot be a key.
func keyID(text string) (id string, ok bool) {
	rest, found := strings.CutPrefix(text, keyPrefix)
	if !found || len(rest) != keyIDLen+1+keySecretLen || rest[keyIDLen] != '_' {
		return "", false
	}
	return rest[:keyIDLen], true
}

// allows reports whether the key may do what s stands for.
func allows(scopes []Scope, s Scope) bool {
	for _, have := range scopes {
		if have == s || have == ScopeAdmin {
			return true
		}
	}
	return false
}

func (s Scope) known() bool {
	for _, k := range Scopes {
		if s == k {
			return true
		}
	}
	return false
}
