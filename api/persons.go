package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Persons knows all that is kept of a person, in whatever store.
type Persons interface {
	// Export tells each thing that is kept of a user, in no more memory for more
	// of them. It ends with the first error of tell. Of nobody it tells nothing.
	Export(ctx context.Context, app, user string, tell func(what string, thing any) error) error
	// AskErasure has a user erased from every store. What is under way goes on;
	// what has ended begins anew.
	AskErasure(ctx context.Context, app, user string) (push.Erasure, error)
	// Erasure is how far that is; [push.ErrNotFound] if nobody has asked.
	Erasure(ctx context.Context, app, user string) (push.Erasure, error)
}

// exportMedia is one JSON value a line.
const exportMedia = "application/jsonl"

// exportLine is one line of an export.
type exportLine struct {
	What string `json:"what"`
	Data any    `json:"data"`
}

// exportEnd is the last line's: without it an export is not whole.
type exportEnd struct {
	Lines int `json:"lines"` // before this one
}

type exportFault struct {
	Detail string `json:"detail"`
}

// WriteExport writes what export tells as JSON Lines, and a last one that says
// that it is whole.
func WriteExport(w io.Writer, export func(tell func(what string, thing any) error) error) error {
	lines, n := json.NewEncoder(w), 0
	lines.SetEscapeHTML(false)
	err := export(func(what string, thing any) error {
		n++
		return lines.Encode(exportLine{what, thing})
	})
	if err != nil {
		return err
	}
	return lines.Encode(exportLine{"end", exportEnd{n}})
}

// patient gives the caller time for each piece of a long answer, not for all.
type patient struct {
	http.ResponseWriter
	each time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	// Not every ResponseWriter has deadlines, a test's recorder for one.
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.each))
	return p.ResponseWriter.Write(b)
}

// exportUser serves GET /v1/users/{user}:export. What goes wrong before the
// first piece has left is an answer of its own; later it is the last line.
func (s *Server) exportUser(c echo.Context, who caller) error {
	user := c.Param("user")
	if !validUser(user) {
		return &push.Invalid{Faults: []push.Fault{{Field: "user", Detail: needUser}}}
	}
	return s.stream(c, func(tell func(string, any) error) error {
		return s.parts.Persons.Export(c.Request().Context(), who.app, user, tell)
	})
}

// stream answers with an export, as it comes.
func (s *Server) stream(c echo.Context, export func(tell func(what string, thing any) error) error) error {
	c.Response().Header().Set(echo.HeaderContentType, exportMedia)
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	out := bufio.NewWriterSize(patient{c.Response(), s.cfg.WireTimeout}, 32<<10)
	err := WriteExport(out, export)
	if err != nil && c.Response().Committed && c.Request().Context().Err() == nil {
		err = errors.Join(err, json.NewEncoder(out).Encode(exportLine{"fault", exportFault{refuse(err).detail}}), out.Flush())
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// beginErasure serves POST /v1/users/{user}:erase.
func (s *Server) beginErasure(c echo.Context, who caller) error {
	user := c.Param("user")
	if !validUser(user) {
		return &push.Invalid{Faults: []push.Fault{{Field: "user", Detail: needUser}}}
	}
	e, err := s.parts.Persons.AskErasure(c.Request().Context(), who.app, user)
	if err != nil {
		return err
	}
	e.Stores = some(e.Stores)
	return c.JSON(http.StatusAccepted, e)
}

// getErasure serves GET /v1/users/{user}:erase.
func (s *Server) getErasure(c echo.Context, who caller) error {
	e, err := s.parts.Persons.Erasure(c.Request().Context(), who.app, c.Param("user"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("erasure: nobody has asked for one of this user")
	}
	if err != nil {
		return err
	}
	e.Stores = some(e.Stores)
	return c.JSON(http.StatusOK, e)
}
