package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// putCredentials serves PUT /v1/apps/{app}/providers/{provider}. Secrets go in
// and never come out again: the answer and GET show only that they are there.
func (s *Server) putCredentials(c echo.Context, who caller) error {
	name, err := s.credentialsOf(c, who)
	if err != nil {
		return err
	}
	raw, err := body(c, maxSmall)
	if err != nil {
		return err
	}
	if err := wellFormed(raw); err != nil {
		return err
	}
	if err := s.parts.Providers[name](raw); err != nil {
		return err
	}
	info, err := s.parts.Credentials.PutCredentials(c.Request().Context(), who.app, name, raw)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, info)
}

// getCredentials serves GET /v1/apps/{app}/providers/{provider}.
func (s *Server) getCredentials(c echo.Context, who caller) error {
	name, err := s.credentialsOf(c, who)
	if err != nil {
		return err
	}
	info, err := s.parts.Credentials.CredentialsInfo(c.Request().Context(), who.app, name)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("credentials")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, info)
}

// deleteCredentials serves DELETE /v1/apps/{app}/providers/{provider}.
func (s *Server) deleteCredentials(c echo.Context, who caller) error {
	name, err := s.credentialsOf(c, who)
	if err != nil {
		return err
	}
	err = s.parts.Credentials.DeleteCredentials(c.Request().Context(), who.app, name)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("credentials")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// credentialsOf finds the provider of the path, if it takes credentials.
func (s *Server) credentialsOf(c echo.Context, who caller) (provider string, err error) {
	if err := ownApp(c, who); err != nil {
		return "", err
	}
	name := c.Param("provider")
	if s.parts.Providers[name] == nil {
		return "", notFound("provider with credentials")
	}
	return name, nil
}
