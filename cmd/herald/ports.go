package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/herald-push/herald/longconn"
)

// listen opens a port. A port that was asked for must be free; instead of a
// default one that is taken it opens any other, and note says so.
func listen(ctx context.Context, what, asked, preferred string) (l net.Listener, note string, err error) {
	if asked != "" {
		l, err = longconn.Listen(ctx, asked)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, "", fmt.Errorf("%s: %s is taken by another program; choose another address, or port 0 for any free one", what, asked)
		}
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", what, err)
		}
		return l, "", nil
	}
	l, err = longconn.Listen(ctx, preferred)
	if err == nil {
		return l, "", nil
	}
	host, _, splitErr := net.SplitHostPort(preferred)
	if splitErr != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	l, second := longconn.Listen(ctx, net.JoinHostPort(host, "0"))
	if second != nil {
		return nil, "", fmt.Errorf("%s: %w", what, errors.Join(err, second))
	}
	return l, fmt.Sprintf("%s: %s is taken by another program, so it is %s this time.", what, preferred, l.Addr()), nil
}

// reachable gives an address like ":8080" the host it means to a person.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// normal lets people say ":9000" or "9000" for an address on this machine.
func normal(addr string) string {
	if addr == "" {
		return ""
	}
	if _, err := strconv.Atoi(addr); err == nil {
		return "127.0.0.1:" + addr
	}
	return addr
}
