//go:build !linux

package longconn

import "syscall"

// tuneSocket does nothing where there is no TCP_USER_TIMEOUT: dead paths show
// at the write timeout or the keep alive.
func tuneSocket(_, _ string, _ syscall.RawConn) error { return nil }
