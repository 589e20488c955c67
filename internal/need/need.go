// Package need decides what becomes of a test that lacks something: it is
// skipped, or fails where HERALD_TEST_REQUIRE says that every test must run.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Missing ends the test; the text says what is missing and how to get it.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("HERALD_TEST_REQUIRE") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Program returns the path of a program, or ends the test.
func Program(t testing.TB, name, howToGet string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "%s is not installed: %s", name, howToGet)
	}
	return path
}

// File returns a file's path, or ends the test.
func File(t testing.TB, path, howToGet string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, "%s is absent: %s", path, howToGet)
	}
	return path
}
