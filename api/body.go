package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// The most bytes that a body may have.
const (
	maxSmall        = 64 << 10 // a device, an app, credentials
	maxNotification = 1 << 20
	maxReceipts     = 1 << 20
	maxBatch        = 10 << 20

	// maxDrain is how much of a body that is too long is read and thrown away,
	// so that a caller still writing gets to read the answer.
	maxDrain = 32 << 20
)

// body reads the whole body of a request of at most limit bytes.
func body(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if enc := r.Header.Get(echo.HeaderContentEncoding); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", detail: "bodies must not be compressed"}
	}
	if r.ContentLength > limit {
		return nil, tooLarge(r, limit)
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, &refusal{status: http.StatusBadRequest, code: "incomplete_body", detail: "the body did not arrive whole"}
	case n > limit:
		return nil, tooLarge(r, limit)
	}
	return buf.Bytes(), nil
}

func tooLarge(r *http.Request, limit int64) error {
	// Who asks "100-continue" first has not sent the body and never will.
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
	}
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: "body_too_large",
		detail: fmt.Sprintf("the body may have at most %d bytes", limit),
	}
}

// read decodes the body of a request by its form.
func read[T any](c echo.Context, limit int64, f form[T]) (T, faults, error) {
	raw, err := body(c, limit)
	if err != nil {
		var none T
		return none, nil, err
	}
	return f.decode(raw)
}
