package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// userRequest is the body of PUT /v1/users/{user}.
type userRequest struct {
	Timezone   string             `json:"timezone"`
	QuietHours *quietHoursRequest `json:"quiet_hours"`
}

var userForm = newForm[userRequest]()

// putUser serves PUT /v1/users/{user}: what the user says is replaced whole.
func (s *Server) putUser(c echo.Context, who caller) error {
	id := c.Param("user")
	req, fs, err := read(c, maxSmall, userForm)
	if err != nil {
		return err
	}
	if !validUser(id) {
		fs.add("user", needUser)
	}
	checkTimezone(&fs, "timezone", req.Timezone)
	u := push.User{App: who.app, ID: id, Timezone: req.Timezone, QuietHours: req.QuietHours.check(&fs, "quiet_hours", true)}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Users.PutUser(c.Request().Context(), &u); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, u)
}

// getUser serves GET /v1/users/{user}.
func (s *Server) getUser(c echo.Context, who caller) error {
	u, err := s.parts.Users.User(c.Request().Context(), who.app, c.Param("user"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("user with wishes of their own")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, u)
}

// deleteUser serves DELETE /v1/users/{user}. Devices keep their user.
func (s *Server) deleteUser(c echo.Context, who caller) error {
	err := s.parts.Users.DeleteUser(c.Request().Context(), who.app, c.Param("user"))
	if errors.Is(err, push.ErrNotFound) {
		return notFound("user with wishes of their own")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
