package seal

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"
)

// maxKeyFile is far more than a file of keys needs, and far less than the
// database that somebody names by mistake.
const maxKeyFile = 64 << 10

// LoadOrCreate reads the keys in the file at path, and writes a new key there
// first if there is no file. Of several processes that start at once all get
// the same key. Whoever loses the file loses what was sealed with it.
func LoadOrCreate(path string) (*Keys, error) {
	keys, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("seal: create key file: %w", err)
	}
	return Load(path)
}

// Load reads the keys in the file at path. It refuses a file that everybody on
// the machine can read.
func Load(path string) (*Keys, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("seal: key file: %w", err)
	}
	// The group may read: that is how Kubernetes mounts a secret for a user
	// other than root.
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("seal: key file %s has mode %04o: others can reach it; run: chmod 600 %s", path, mode, path)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("seal: key file %s holds %d bytes: that is no key", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal: key file: %w", err)
	}
	keys, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("seal: key file %s: %w", path, err)
	}
	return keys, nil
}

// create writes a new key beside path and links it there in one step, so that
// nobody ever reads half a key and nobody's key is written over.
func create(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // path is a second name by then

	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key)
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
