package longconn

import "syscall"

// userTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const userTimeout = 18

// tuneSocket makes the kernel give a connection up when written bytes stay
// unacknowledged for 30 s: a server cannot ping an MQTT client, so this is how
// a dead path shows before the keep alive does. Accepted sockets inherit it.
func tuneSocket(_, _ string, raw syscall.RawConn) error {
	var err error
	ctlErr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, 30_000)
	})
	if ctlErr != nil {
		return ctlErr
	}
	return err
}
