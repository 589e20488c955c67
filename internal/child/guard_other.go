//go:build unix && !linux

package child

import "syscall"

// attributes gives the program a group of its own. Only Linux can also tie its
// life to the guard's; elsewhere the next start ends it by its lock.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
