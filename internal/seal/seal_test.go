package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	oldKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	newKey = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

func mustParse(t *testing.T, text string) *Keys {
	t.Helper()
	k, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOpenGivesBackOnlyWhatWasSealedHere(t *testing.T) {
	keys := mustParse(t, oldKey)
	secret := []byte(`{"key":"p8"}`)
	sealed := keys.Seal(secret, "demo", "apns")

	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	newer := bytes.Clone(sealed)
	newer[0] = 2

	tests := map[string]struct {
		keys      *Keys
		sealed    []byte
		app, what string
		opens     bool
	}{
		"as it was sealed":        {keys, sealed, "demo", "apns", true},
		"another app":             {keys, sealed, "other", "apns", false},
		"another purpose":         {keys, sealed, "demo", "fcm", false},
		"names glued differently": {keys, sealed, "demoa", "pns", false},
		"a bit was changed":       {keys, changed, "demo", "apns", false},
		"a version from tomorrow": {keys, newer, "demo", "apns", false},
		"cut short":               {keys, sealed[:20], "demo", "apns", false},
		"nothing at all":          {keys, nil, "demo", "apns", false},
		"another key":             {mustParse(t, newKey), sealed, "demo", "apns", false},
		"a new key before it":     {mustParse(t, newKey+"\n"+oldKey), sealed, "demo", "apns", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.keys.Open(tt.sealed, tt.app, tt.what)
			if tt.opens && (err != nil || !bytes.Equal(got, secret)) {
				t.Errorf("Open() = %q, %v; want the secret", got, err)
			}
			if !tt.opens && (!errors.Is(err, ErrOpen) || got != nil) {
				t.Errorf("Open() = %q, %v; want ErrOpen", got, err)
			}
		})
	}
}

func TestSealIsDifferentEachTimeAndHidesTheSecret(t *testing.T) {
	keys := mustParse(t, oldKey)
	a, b := keys.Seal([]byte("planted"), "demo", "x"), keys.Seal([]byte("planted"), "demo", "x")
	if bytes.Equal(a, b) {
		t.Error("two seals of one secret are alike")
	}
	if bytes.Contains(a, []byte("planted")) {
		t.Error("the secret can be read in the sealed bytes")
	}
}

func TestCurrentTellsWhatMustBeSealedAgain(t *testing.T) {
	sealed := mustParse(t, oldKey).Seal([]byte("s"), "demo", "x")
	if !mustParse(t, oldKey).Current(sealed) {
		t.Error("Current() = false for the key that sealed it")
	}
	if mustParse(t, newKey+","+oldKey).Current(sealed) {
		t.Error("Current() = true for a key that only opens")
	}
}

func TestParseRefusesWhatIsNoKeyWithoutRepeatingIt(t *testing.T) {
	tests := map[string]string{
		"empty":          " \n",
		"too short":      oldKey[:62],
		"too long":       oldKey + "00",
		"not hex":        strings.Replace(oldKey, "a", "z", 1),
		"second is bad":  oldKey + " secretsecret",
		"glued together": oldKey + newKey,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(text)
			if err == nil {
				t.Fatal("Parse() took it")
			}
			if strings.Contains(err.Error(), "0011") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "z") {
				t.Errorf("Parse() error repeats the key: %v", err)
			}
		})
	}
}

func TestNoVerbPrintsAKey(t *testing.T) {
	keys := mustParse(t, oldKey)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", keys)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "keys", keys)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "keys", keys)
	if b, err := json.Marshal(map[string]any{"keys": keys}); err == nil {
		out.Write(b)
	}
	for _, shape := range []string{"00112233", "001122", "[0 17 34", "0 17 34 51", "1144201745"} {
		if strings.Contains(out.String(), shape) {
			t.Errorf("a key was printed: %s", out.String())
		}
	}
}

func TestLoadOrCreateMakesOneKeyForAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald.key")
	sealed := make([][]byte, 8)
	var group sync.WaitGroup
	for i := range sealed {
		group.Go(func() {
			keys, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			sealed[i] = keys.Seal([]byte("s"), "demo", "x")
		})
	}
	group.Wait()

	keys, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sealed {
		if _, err := keys.Open(s, "demo", "x"); err != nil {
			t.Errorf("starter %d used another key: %v", i, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadRefusesAFileThatOthersReach(t *testing.T) {
	tests := map[string]struct {
		mode os.FileMode
		ok   bool
	}{
		"owner only":               {0o600, true},
		"read only":                {0o400, true},
		"mounted for a group":      {0o440, true},
		"readable by everybody":    {0o644, false},
		"writable by the group":    {0o620, false},
		"executable by the others": {0o601, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "k")
			if err := os.WriteFile(path, []byte(oldKey), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); (err == nil) != tt.ok {
				t.Errorf("Load() error = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

func TestLoadOrCreateKeepsABrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(path); err == nil {
		t.Error("LoadOrCreate() took a file without a key")
	}
	if text, _ := os.ReadFile(path); string(text) != "not a key" {
		t.Error("LoadOrCreate() wrote over the file")
	}
}
