//go:build !linux

package longconn

import (
	"context"
	"errors"
)

// haveLoops says that this system has epoll.
const haveLoops = false

func openLoops(context.Context, *Server) (loops, error) { return nil, errors.ErrUnsupported }
