package sqlstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// An API key is "hk_<id>_<secret>": 8 characters to find it by and 256 random
// bits. So many need no slow hash: SHA-256 of the whole key is kept.
const (
	keyMark   = "hk_"
	keyIDSize = 8
	keySize   = len(keyMark) + keyIDSize + 1 + 43
)

// touchEvery is how exactly the last use of a key is known.
const touchEvery = time.Minute

// Key is an API key as it is stored: never the key itself.
type Key struct {
	ID         string            `json:"id"` // the public part
	App        string            `json:"app"`
	Name       string            `json:"name"` // what its owner calls it
	Scopes     []string          `json:"scopes"`
	Hash       [sha256.Size]byte `json:"-"`
	CreatedAt  time.Time         `json:"created_at"`
	LastUsedAt time.Time         `json:"last_used_at,omitzero"` // to the minute
	RevokedAt  time.Time         `json:"revoked_at,omitzero"`
}

// CreateKey makes a key of an app and returns its text, which can be shown now
// and never again.
func (s *Store) CreateKey(ctx context.Context, app string, scopes []string, name string) (text string, err error) {
	var secret [32]byte
	rand.Read(secret[:]) // never fails: it ends the program instead
	id := strings.ToLower(rand.Text()[:keyIDSize])
	text = keyMark + id + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
	key := Key{ID: id, App: app, Name: name, Scopes: scopes, Hash: sha256.Sum256([]byte(text)), CreatedAt: time.Now()}
	if err := s.PutKey(ctx, key); err != nil {
		return "", err
	}
	return text, nil
}

// PutKey keeps a new key that was made elsewhere. An id that is taken, which
// happens once in a trillion, is [push.ErrConflict].
func (s *Store) PutKey(ctx context.Context, k Key) error {
	var f faults
	f.named("id", k.ID)
	f.text("name", k.Name)
	for i, scope := range k.Scopes {
		f.named(fmt.Sprintf("scopes[%d]", i), scope)
	}
	if k.Hash == [sha256.Size]byte{} {
		f.add("hash", "is empty")
	}
	if err := f.err(); err != nil {
		return fail("put key", err)
	}
	const query = `
		INSERT INTO api_keys (id, app, name, scopes, hash, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO NOTHING`
	what := "put key of app " + k.App
	n, err := s.exec(ctx, what, query, k.ID, k.App, k.Name, database.List(k.Scopes), k.Hash[:], k.CreatedAt.UnixMicro())
	if err == nil && n == 0 {
		err = fail(what, push.ErrConflict)
	}
	return err
}

// FindKey tells whose key text is and what it may do, and notes its use. Text
// that is no key of ours, or of one that was revoked, is [push.ErrNotFound].
func (s *Store) FindKey(ctx context.Context, text string) (app string, scopes []string, err error) {
	if len(text) != keySize || !strings.HasPrefix(text, keyMark) || text[len(keyMark)+keyIDSize] != '_' {
		return "", nil, fail("find key", push.ErrNotFound)
	}
	key, err := s.Key(ctx, text[len(keyMark):][:keyIDSize])
	if err != nil {
		return "", nil, err
	}
	if hash := sha256.Sum256([]byte(text)); subtle.ConstantTimeCompare(hash[:], key.Hash[:]) != 1 {
		return "", nil, fail("find key", push.ErrNotFound)
	}
	if time.Since(key.LastUsedAt) > touchEvery {
		// Not to know when a key was last used is no reason to refuse it.
		_ = s.TouchKey(ctx, key.ID)
	}
	return key.App, key.Scopes, nil
}

const keyColumns = `id, app, name, scopes, hash, created_at, last_used_at, revoked_at`

// Key returns a key that is good by its public part. Whoever lets somebody in
// with it compares the hash first, in constant time.
func (s *Store) Key(ctx context.Context, id string) (Key, error) {
	const query = `SELECT ` + keyColumns + ` FROM api_keys WHERE id = $1 AND revoked_at = 0`
	key, err := scanKey(s.db.Read().QueryRow(ctx, query, id).Scan)
	return key, fail("key", err) // without the id: it came from a stranger
}

// Keys returns all keys of an app, the revoked ones too, oldest first.
func (s *Store) Keys(ctx context.Context, app string) ([]Key, error) {
	const query = `SELECT ` + keyColumns + ` FROM api_keys WHERE app = $1 ORDER BY created_at, id`
	keys, err := database.Collect(ctx, s.db.Read(), query, []any{app}, scanKey)
	return keys, fail("keys of app "+app, err)
}

func scanKey(scan database.Scanner) (Key, error) {
	var k Key
	var scopes, hash []byte
	var created, used, revoked int64
	if err := scan(&k.ID, &k.App, &k.Name, &scopes, &hash, &created, &used, &revoked); err != nil {
		return Key{}, err
	}
	if len(hash) != sha256.Size {
		return Key{}, errors.New("its hash is broken")
	}
	k.Hash = [sha256.Size]byte(hash)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = at(created), at(used), at(revoked)
	return k, json.Unmarshal(scopes, &k.Scopes)
}

// RevokeKey ends a key of an app. It stays in the list, and cannot come back.
func (s *Store) RevokeKey(ctx context.Context, app, id string) error {
	const query = `UPDATE api_keys SET revoked_at = $3 WHERE app = $1 AND id = $2 AND revoked_at = 0`
	return s.execOne(ctx, "revoke key of app "+app, query, app, id, now())
}

// TouchKey notes that a key was used just now, at most once a minute.
func (s *Store) TouchKey(ctx context.Context, id string) error {
	const query = `UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND last_used_at < $3`
	t := time.Now()
	_, err := s.exec(ctx, "touch key", query, id, t.UnixMicro(), t.Add(-touchEvery).UnixMicro())
	return err
}
