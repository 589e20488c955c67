// Package seal keeps secrets unreadable at rest. What it seals opens only with
// the same key, for the same app and the same purpose, so a row copied from one
// tenant to another opens for nobody.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrOpen means that the sealed bytes are not ours, were changed, belong to
// another app or purpose, or were sealed with a key that we do not hold. Which
// of these it is cannot be told, except for the key.
var ErrOpen = errors.New("sealed bytes do not open")

// Sealed bytes, version 1:
//
//	 0      1        5          29
//	+------+--------+----------+---------------------------+
//	| ver  | key id | nonce    | XChaCha20-Poly1305 ...    |
//	+------+--------+----------+---------------------------+
//	 uint8  4 bytes  24 bytes   length of the secret + 16
const (
	version   = 1
	idSize    = 4
	nonceSize = chacha20poly1305.NonceSizeX
	headSize  = 1 + idSize + nonceSize
)

type keyID [idSize]byte

// Keys seals with its first key and opens with any. It is safe for concurrent
// use and prints as the number of its keys, never as the keys.
type Keys struct {
	current keyID
	aeads   map[keyID]cipher.AEAD
}

// Parse reads keys of 32 bytes as 64 hex digits each, separated by white space
// or commas. The first one seals; the others only open what they sealed once,
// so a key is replaced by putting the new one before it.
func Parse(text string) (*Keys, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	if len(words) == 0 {
		return nil, errors.New("seal: no key given: want 64 hex digits")
	}
	k := &Keys{aeads: make(map[keyID]cipher.AEAD, len(words))}
	for i, word := range words {
		// The decoder's own error would quote a digit of the key.
		key, err := hex.DecodeString(word)
		if err != nil || len(key) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("seal: key %d is not 64 hex digits", i+1)
		}
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", i+1, err)
		}
		id := idOf(key)
		k.aeads[id] = aead
		if i == 0 {
			k.current = id
		}
	}
	return k, nil
}

// Seal makes secret unreadable for everyone without the key. The result is a
// new slice and different each time.
func (k *Keys) Seal(secret []byte, app, what string) []byte {
	sealed := make([]byte, headSize, headSize+len(secret)+chacha20poly1305.Overhead)
	sealed[0] = version
	copy(sealed[1:], k.current[:])
	nonce := sealed[1+idSize : headSize]
	rand.Read(nonce) // never fails: it ends the program instead
	return k.aeads[k.current].Seal(sealed, nonce, secret, bound(app, what))
}

// Open undoes [Keys.Seal] for the same app and what; its error is [ErrOpen].
func (k *Keys) Open(sealed []byte, app, what string) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != version {
		return nil, fmt.Errorf("seal: %s of app %s: %w: not sealed by Herald", what, app, ErrOpen)
	}
	aead, ok := k.aeads[keyID(sealed[1:1+idSize])]
	if !ok {
		return nil, fmt.Errorf("seal: %s of app %s: %w: sealed with another key", what, app, ErrOpen)
	}
	secret, err := aead.Open(nil, sealed[1+idSize:headSize], sealed[headSize:], bound(app, what))
	if err != nil {
		return nil, fmt.Errorf("seal: %s of app %s: %w", what, app, ErrOpen)
	}
	return secret, nil
}

// Current reports whether sealed was made with the key that seals now. What was
// not should be sealed again before its key is taken away.
func (k *Keys) Current(sealed []byte) bool {
	return len(sealed) >= headSize && sealed[0] == version && keyID(sealed[1:1+idSize]) == k.current
}

// Format implements [fmt.Formatter], so that no verb prints a key.
func (k *Keys) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "seal.Keys(%d)", len(k.aeads))
}

// bound is the associated data: lengths first, so that no two pairs are alike.
func bound(app, what string) []byte {
	b := make([]byte, 0, 2*binary.MaxVarintLen64+len(app)+len(what))
	b = binary.AppendUvarint(b, uint64(len(app)))
	b = append(b, app...)
	b = binary.AppendUvarint(b, uint64(len(what)))
	return append(b, what...)
}

// idOf names a key without telling anything of it.
func idOf(key []byte) keyID {
	sum := sha256.Sum256(append([]byte("herald seal key id\n"), key...))
	return keyID(sum[:idSize])
}
