//go:build unix

package child

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes a folder for this process until it ends, by a lock on path that
// holds its pid. The error names the process that has it.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, &TakenError{Path: path, PID: read(path)}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("child: lock %s: %w", path, err)
	}
	if err := write(f, os.Getpid()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// TakenError says that another process holds a lock.
type TakenError struct {
	Path string
	PID  int // 0 if it has not written it yet
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is held by process %d", e.Path, e.PID)
}
