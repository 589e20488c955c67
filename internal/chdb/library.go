package chdb

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrNoLibrary says that libchdb is not on this machine. The text around it
// says where it was looked for and how to get it.
var ErrNoLibrary = errors.New("the embedded ClickHouse engine is not installed")

//go:embed version.txt
var version string

// Version is the pinned version of libchdb, which scripts/chdb.sh installs.
func Version() string { return strings.TrimSpace(version) }

// Find returns the path of libchdb: HERALD_CHDB_LIB if set, else the place in
// the build cache where scripts/chdb.sh puts it. It returns [ErrNoLibrary] if
// there is no file.
func Find() (string, error) {
	path := os.Getenv("HERALD_CHDB_LIB")
	if path == "" {
		cache, err := cacheDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(cache, "chdb", Version(), libraryName())
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return "", fmt.Errorf("chdb: %w: no file %s; run scripts/chdb.sh, or name a library in HERALD_CHDB_LIB", ErrNoLibrary, path)
	}
	return path, nil
}

// cacheDir follows scripts/chdb.sh, which uses the XDG place on macOS too.
func cacheDir() (string, error) {
	if dir := os.Getenv("HERALD_CACHE"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "herald"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("chdb: find the build cache: %w", err)
	}
	return filepath.Join(home, ".cache", "herald"), nil
}

func libraryName() string {
	if runtime.GOOS == "darwin" {
		return "libchdb.dylib"
	}
	return "libchdb.so"
}

// library is the part of chdb.h that Herald calls. Pointers to C memory are
// uintptr, so that the garbage collector never looks at them.
type library struct {
	connect func(argc int32, argv **byte) uintptr
	close   func(conn uintptr)
	// query takes a chdb_connection (what connect's result points to), the
	// text, the format, and param_count names and values with their lengths.
	query func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr
	destroy func(result uintptr)
	buffer  func(result uintptr) uintptr
	length  func(result uintptr) uintptr
	failure func(result uintptr) string
	signals func(enabled int32)
}

// load opens the library. It stays loaded until the process ends: the engine's
// threads do not survive dlclose.
func load(path string) (lib *library, err error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("chdb: load %s: %w", path, err)
	}
	lib = new(library)
	for name, fn := range map[string]any{
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.close,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_destroy_query_result":        &lib.destroy,
		"chdb_result_buffer":               &lib.buffer,
		"chdb_result_length":               &lib.length,
		"chdb_result_error":                &lib.failure,
		"chdb_set_signal_handlers_enabled": &lib.signals,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("chdb: %s is not a libchdb that Herald knows: %w", path, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return lib, nil
}

// cBytes returns s with a NUL after it and a pointer to its first byte.
func cBytes(s string) *byte {
	return unsafe.SliceData(append([]byte(s), 0))
}
