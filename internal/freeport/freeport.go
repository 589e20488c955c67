// Package freeport finds ports for programs that cannot be handed a socket.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// lowest and highest bound the ports that [Take] chooses among. They lie below
// what Linux and macOS give to outgoing connections and to port 0, so that
// nothing takes a port by chance before the program it is meant for.
const lowest, highest = 10_000, 32_000

// Take returns a port of 127.0.0.1 that nobody listens on. Another program may
// still come to listen on it first, which is unlikely and not impossible.
func Take() (int, error) {
	var errs []error
	for range 20 {
		port := lowest + rand.N(highest-lowest)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // binding to loopback waits for nobody
		if err == nil {
			l.Close()
			return port, nil
		}
		errs = append(errs, err)
	}
	return 0, fmt.Errorf("find a free port: %w", errors.Join(errs...))
}
