package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// canaryTime bounds the question whether a service takes credentials.
const canaryTime = 8 * time.Second

// credentialsResponse is what is shown of credentials that were given just now.
type credentialsResponse struct {
	CredentialsInfo
	Canary string `json:"canary,omitempty"` // what asking the service proved
}

// putCredentials serves PUT /v1/apps/{app}/providers/{provider}. Secrets go in
// and never come out again: the answer and GET show only that they are there.
//
// New credentials replace the old ones only if the service does not refuse
// them, where it can be asked: see [Server.canary].
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
	said, err := s.canary(c, name, raw)
	if err != nil {
		return err
	}
	info, err := s.parts.Credentials.PutCredentials(c.Request().Context(), who.app, name, raw)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, credentialsResponse{info, said})
}

// canary asks the service whether it takes credentials. The query parameter
// "canary" says what for: "auto", the default, refuses what the service refuses
// and passes what it could not be asked, and does not ask a server that only
// plays the service; "required" refuses both and asks any server; "off" does not
// ask.
func (s *Server) canary(c echo.Context, provider string, raw []byte) (said string, err error) {
	mode := c.QueryParam("canary")
	switch mode {
	case "", "auto", "required", "off":
	default:
		return "", &push.Invalid{Faults: []push.Fault{{Field: "canary", Detail: "must be auto, required or off"}}}
	}
	required := mode == "required"
	if s.parts.Canary == nil || mode == "off" || !required && ownServer(raw) {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), canaryTime)
	defer cancel()
	said, err = s.parts.Canary(ctx, provider, raw)
	switch {
	case err == nil && said == "" && required:
		return "", &push.Invalid{Faults: []push.Fault{{Field: "canary", Detail: "this service cannot be asked; leave the parameter out"}}}
	case err == nil:
		return said, nil
	case errors.Is(err, push.ErrCredentials):
		return "", &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "the service refuses them: " + err.Error()}}}
	case required:
		return "", &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "the service did not take them: " + err.Error()}}}
	default:
		return "not proven: " + err.Error(), nil
	}
}

// ownServer tells whether credentials name a server that plays the service.
func ownServer(raw []byte) bool {
	var c struct {
		Endpoint string `json:"endpoint"`
	}
	return json.Unmarshal(raw, &c) == nil && c.Endpoint != ""
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

// rollBackCredentials serves POST /v1/apps/{app}/providers/{provider}:rollback:
// the credentials before those in force are in force again.
func (s *Server) rollBackCredentials(c echo.Context, who caller) error {
	name, err := s.credentialsOf(c, who)
	if err != nil {
		return err
	}
	info, err := s.parts.Credentials.RollBackCredentials(c.Request().Context(), who.app, name)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("earlier credentials")
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, info)
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
