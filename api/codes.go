package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// getCodes serves GET /v1/providers/{provider}/codes: which answer of the
// service means what to Herald, with the source of it and its date.
func (s *Server) getCodes(c echo.Context, _ caller) error {
	table, ok := s.parts.Codes[c.Param("provider")]
	if !ok {
		return notFound("provider with a table of codes")
	}
	return c.JSONBlob(http.StatusOK, table)
}
