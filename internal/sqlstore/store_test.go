package sqlstore_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/postgrestest"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

const (
	oldKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	newKey = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

// both runs a test of the contract against each database, new and with the apps
// demo and other. The URL opens the same database once more.
func both(t *testing.T, test func(t *testing.T, s *sqlstore.Store, url string)) {
	t.Helper()
	bothEmpty(t, func(t *testing.T, url string) {
		s := open(t, url, oldKey)
		for _, id := range []string{"demo", "other"} {
			if err := s.CreateApp(t.Context(), push.App{ID: id, Name: strings.ToUpper(id)}); err != nil {
				t.Fatal(err)
			}
		}
		test(t, s, url)
	})
}

// bothEmpty runs a test with the URL of each database, new and without a table.
func bothEmpty(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	places := map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "h.db") },
		"postgres": func(t *testing.T) string { return postgrestest.URL(t) },
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

func open(t testing.TB, url, keys string) *sqlstore.Store {
	t.Helper()
	k, err := seal.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(context.Background(), url, k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// device is a small one of the app demo with addresses "provider:token".
func device(id string, addresses ...string) *push.Device {
	d := &push.Device{App: "demo", ID: id, Platform: "android"}
	for _, a := range addresses {
		provider, token, _ := strings.Cut(a, ":")
		d.Addresses = append(d.Addresses, push.Address{Provider: provider, Token: token})
	}
	return d
}

func put(t *testing.T, s *sqlstore.Store, devices ...*push.Device) (moved []string) {
	t.Helper()
	for _, d := range devices {
		m, err := s.PutDevice(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		moved = append(moved, m...)
	}
	return moved
}
