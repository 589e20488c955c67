package h2

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// ErrNotSent is in the error of a request that the server certainly did not
// process: it never left, or the server said so. It may be sent again without
// risk of a second copy. Any other error of a request means that nobody knows.
var ErrNotSent = errors.New("request was not sent")

// errRefused is in the error of a request that the server refused by itself: it
// is sent again once.
var errRefused = fmt.Errorf("%w: refused by the server", ErrNotSent)

// fault is a breach of the protocol that ends the connection. The other end is
// told the code.
type fault struct {
	code   http2.ErrCode
	reason string
}

func (f fault) Error() string { return fmt.Sprintf("%s: %v", f.reason, f.code) }

func protocolFault(reason string) error { return fault{http2.ErrCodeProtocol, reason} }
func sizeFault(reason string) error     { return fault{http2.ErrCodeFrameSize, reason} }
func windowFault(reason string) error   { return fault{http2.ErrCodeFlowControl, reason} }
func floodFault(reason string) error    { return fault{http2.ErrCodeEnhanceYourCalm, reason} }

var (
	// errDone is why a connection ends of which nobody needs anything any more.
	errDone = errors.New("connection was retired")
	// errGone is why one ends that a handler aborted.
	errGone = errors.New("connection was aborted")
)
