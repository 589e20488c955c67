package sandbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Subscription is the PushSubscription, in JSON, of a browser at the played push
// service; base is [Sandbox.URL] of "webpush". Its keys follow from the name
// alone: they are a secret to nobody, as everything here.
func Subscription(base, browser string) string {
	text, err := json.Marshal(map[string]any{
		"endpoint": base + pushPath + url.PathEscape(browser), "expirationTime": nil,
		"keys": map[string]string{
			"p256dh": base64url(browserKey(browser).PublicKey().Bytes()), "auth": base64url(browserAuth(browser)),
		},
	})
	if err != nil {
		return "" // strings always encode
	}
	return string(text)
}

func browserKey(browser string) *ecdh.PrivateKey { return derive("herald sandbox browser", browser) }

func browserAuth(browser string) []byte {
	return expand([]byte("herald sandbox browser"), nil, "auth of "+browser, 16)
}

// derive makes a key of P-256 from a secret and a name. Nearly every 32 bytes
// are one.
func derive(secret, name string) *ecdh.PrivateKey {
	for i := 0; ; i++ {
		key, err := ecdh.P256().NewPrivateKey(expand([]byte(secret), nil, name+" "+strconv.Itoa(i), 32))
		if err == nil {
			return key
		}
	}
}

var errCipher = errors.New("sandbox: not an encrypted message for this browser")

// decrypt opens a message of one record as the browser does: RFC 8291, section
// 3.4, over RFC 8188, section 2.
func decrypt(private *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	const saltLen, head = 16, 16 + 4 + 1
	if len(body) < head || len(body) < head+int(body[head-1]) {
		return nil, errCipher
	}
	salt, sender, record := body[:saltLen], body[head:head+int(body[head-1])], body[head+int(body[head-1]):]
	theirs, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, errCipher
	}
	shared, err := private.ECDH(theirs)
	if err != nil {
		return nil, errCipher
	}
	info := "WebPush: info\x00" + string(private.PublicKey().Bytes()) + string(sender)
	secret := expand(shared, auth, info, 32)
	block, err := aes.NewCipher(expand(secret, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		return nil, errCipher
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, errCipher
	}
	padded, err := gcm.Open(nil, expand(secret, salt, "Content-Encoding: nonce\x00", 12), record, nil)
	if err != nil {
		return nil, errCipher
	}
	text, ok := bytes.CutSuffix(bytes.TrimRight(padded, "\x00"), []byte{2})
	if !ok {
		return nil, errCipher
	}
	return text, nil
}

// expand is HKDF with SHA-256.
func expand(secret, salt []byte, info string, n int) []byte {
	key, err := hkdf.Key(sha256.New, secret, salt, info, n)
	if err != nil {
		panic(err) // only more than 8160 bytes cannot be had
	}
	return key
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func isBase64URL(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
