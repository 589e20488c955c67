package child

import "syscall"

// attributes gives the program a group of its own and, should the guard be
// killed, a death with it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
