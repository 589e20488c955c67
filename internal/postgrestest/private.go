package postgrestest

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// script runs a server for as long as its standard input is open. The test
// process holds the other end, so however that process ends, even by kill -9,
// the server ends and its folder goes.
//
//go:embed private.sh
var script string

// startPrivate starts a server that listens on a unix socket in a new folder
// and gives the URL of its superuser.
func startPrivate() (*server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "herald-pg-") // the name is short: a socket's path has at most 103 bytes
	if err != nil {
		return nil, err
	}
	attr, err := owner(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	cmd := osexec.CommandContext(context.Background(), "/bin/sh", "-c", script, "postgrestest", bin, dir)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attr
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "ready" {
			return &server{url: "postgres://postgres@/postgres?host=" + url.QueryEscape(dir), alive: alive}, nil
		}
		said.WriteString(lines.Text() + "\n")
	}
	return nil, fmt.Errorf("private server did not start: %w: %s", cmd.Wait(), said.String())
}

// findBinaries returns the folder of the newest initdb.
func findBinaries() (string, error) {
	if path, err := osexec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	var newest string
	var version float64
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/initdb",
		"/opt/homebrew/opt/postgresql@*/bin/initdb",
		"/usr/local/opt/postgresql@*/bin/initdb",
	} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			folder := filepath.Base(filepath.Dir(filepath.Dir(path)))
			v, _ := strconv.ParseFloat(strings.TrimPrefix(folder, "postgresql@"), 64)
			if newest == "" || v > version {
				newest, version = filepath.Dir(path), v
			}
		}
	}
	if newest == "" {
		return "", errors.New("initdb is neither in PATH nor where Debian and Homebrew put it")
	}
	return newest, nil
}

// owner gives dir to the user who shall run the server. PostgreSQL refuses to
// run as root, so root runs it as Debian's user postgres.
//
// The group is the server's own: a Ctrl-C in the terminal is for the test, and
// the server follows it in its own time.
func owner(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root needs a user to run it: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return attr, nil
}
