package api

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Members keeps who may do what on the pages. What is not there is
// [push.ErrNotFound].
type Members interface {
	PutMember(ctx context.Context, m *push.Member) error
	Member(ctx context.Context, app, email string) (push.Member, error)
	// Members are an app's, and those of all apps.
	Members(ctx context.Context, app string) ([]push.Member, error)
	DeleteMember(ctx context.Context, app, email string) error
}

// personRequest is the body of PUT /v1/apps/{app}/members/{member}.
type personRequest struct {
	Role string `json:"role"`
}

type peopleResponse struct {
	Members []push.Member `json:"members"`
}

var personForm = newForm[personRequest]()

// listPeople serves GET /v1/apps/{app}/members.
func (s *Server) listPeople(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	all, err := s.parts.Members.Members(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, peopleResponse{some(all)})
}

// putPerson serves PUT /v1/apps/{app}/members/{member}: a person, by the
// address that the sign-in service knows them by, gets a role in the app.
func (s *Server) putPerson(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	req, fs, err := read(c, maxSmall, personForm)
	if err != nil {
		return err
	}
	m := push.Member{App: who.app, Email: personOf(c), Role: req.Role}
	if a, err := mail.ParseAddress(m.Email); err != nil || a.Address != m.Email || len(m.Email) > 254 {
		fs.add("member", "must be an e-mail address")
	}
	if !slices.Contains(push.MemberRoles[:], m.Role) {
		fs.addf("role", "%q is none of %s", shorten(m.Role), strings.Join(push.MemberRoles[:], ", "))
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Members.PutMember(c.Request().Context(), &m); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, m)
}

// getPerson serves GET /v1/apps/{app}/members/{member}.
func (s *Server) getPerson(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	m, err := s.parts.Members.Member(c.Request().Context(), who.app, personOf(c))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("member")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, m)
}

// deletePerson serves DELETE /v1/apps/{app}/members/{member}: their next page
// is refused.
func (s *Server) deletePerson(c echo.Context, who caller) error {
	if err := ownApp(c, who); err != nil {
		return err
	}
	err := s.parts.Members.DeleteMember(c.Request().Context(), who.app, personOf(c))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("member")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// personOf reads the address of a path, in lower case as it is kept.
func personOf(c echo.Context) string {
	text := c.Param("member")
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return strings.ToLower(text)
}
