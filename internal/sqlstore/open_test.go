package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestOpenRefusesWithoutRepeatingThePassword(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		url  string
		want error // nil for any
	}{
		"nothing":                    {"", nil},
		"another database":           {"mysql://u:pa55word@h/db", nil},
		"a password in a file name":  {"pa55word", nil},
		"sqlite without a path":      {"sqlite:", nil},
		"sqlite in memory":           {"sqlite::memory:", nil},
		"sqlite with parameters":     {"sqlite:x.db?_pragma=pa55word", nil},
		"a folder that is not there": {"sqlite:" + dir + "/no/h.db", nil},
		"a folder":                   {"sqlite:" + dir, nil},
		"a password with a slash":    {"postgres://u:pa55/word@h/db", nil},
		"a password with a percent":  {"postgres://u:pa55%word@h/db", nil},
		"a port that is none":        {"postgres://u:pa55word@h:port/db", nil},
		"a parameter that is none":   {"postgres://u:pa55word@h/db?sslmode=perhaps", nil},
		"no connection allowed":      {"postgres://u:pa55word@h/db?pool_max_conns=0", nil},
		"a server that is not there": {"postgres://u:pa55word@127.0.0.1:1/db", push.ErrAway},
	}
	keys, err := seal.Parse(oldKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := sqlstore.Open(t.Context(), tt.url, keys, slog.New(slog.DiscardHandler))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("Open() error = %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), "pa55") {
				t.Errorf("Open() error repeats the password: %v", err)
			}
		})
	}
}

func TestManyProcessesMayOpenOneNewDatabase(t *testing.T) {
	bothEmpty(t, func(t *testing.T, url string) {
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				keys, err := seal.Parse(oldKey)
				if err != nil {
					t.Error(err)
					return
				}
				s, err := sqlstore.Open(context.Background(), url, keys, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.CreateApp(t.Context(), push.App{ID: fmt.Sprintf("app-%d", i)}); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if apps, err := open(t, url, oldKey).Apps(t.Context()); len(apps) != 6 || err != nil {
			t.Errorf("Apps() = %v, %v; want 6", apps, err)
		}
	})
}

func TestSQLiteKeepsStrangersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name #1 100%.db")
	s := open(t, "sqlite:"+path, oldKey)
	if err := s.CreateApp(t.Context(), push.App{ID: "demo"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("files = %v, %v; want the database, its -wal and -shm", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", filepath.Base(file), info.Mode(), err)
		}
	}
	if want := "sqlite:" + path; s.Where() != want {
		t.Errorf("Where() = %q, want %q", s.Where(), want)
	}
}

func TestNothingSecretIsOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "sqlite:"+filepath.Join(dir, "h.db"), oldKey)
	if err := s.CreateApp(t.Context(), push.App{ID: "demo"}); err != nil {
		t.Fatal(err)
	}
	key, err := s.CreateKey(t.Context(), "demo", []string{"send"}, "k")
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.TokenSecret(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutCredentials(t.Context(), "demo", "apns", []byte(`{"key":"planted-secret"}`)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range map[string][]byte{"key": []byte(key[12:]), "token secret": token, "credentials": []byte("planted")} {
			if bytes.Contains(content, secret) {
				t.Errorf("%s holds the %s in clear", filepath.Base(file), what)
			}
		}
	}
}

func TestRunKeepsTheStoreOpenUntilItsContextEnds(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, url string) {
		second := open(t, url, oldKey)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- second.Run(ctx) }()
		if err := second.Ping(t.Context()); err != nil {
			t.Errorf("Ping() while it runs: %v", err)
		}
		end()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
		if err := second.Ping(t.Context()); err == nil {
			t.Error("Ping() after it ended gives no error")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.App(ctx, "demo"); !errors.Is(err, context.Canceled) || errors.Is(err, push.ErrAway) {
			t.Errorf("App() of a caller who left: %v, want context.Canceled alone", err)
		}
	})
}
