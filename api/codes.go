package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// Corrections keeps what apps say that services' answers mean, in place of the
// tables. What is not there is [push.ErrNotFound].
type Corrections interface {
	PutCorrection(ctx context.Context, c push.Correction) error
	Corrections(ctx context.Context, app, provider string) ([]push.Correction, error)
	DeleteCorrection(ctx context.Context, app, provider string, status int, code string) error
}

// What a correction may say.
const (
	maxMeans      = 200 // bytes
	maxRetryAfter = 24 * 60 * 60
)

// word is a service's word for what went wrong, as the tables have it.
var word = regexp.MustCompile(`^[A-Za-z0-9_]{1,48}$`)

// codeTable is a provider's table of codes.
type codeTable struct {
	Source string    `json:"source"`
	Date   string    `json:"date"`
	Codes  []codeRow `json:"codes"`
}

// codeRow is a row of it: of those that fit an answer, the first counts.
type codeRow struct {
	Status            int        `json:"status,omitempty"`
	Code              string     `json:"code,omitempty"`
	Kind              string     `json:"kind"`
	RetryAfterSeconds int        `json:"retry_after_seconds,omitempty"`
	Scope             push.Scope `json:"scope,omitempty"`
	Means             string     `json:"means"`
}

// codesResponse is a table with what the app corrects in it.
type codesResponse struct {
	codeTable
	Corrections []correctionResponse `json:"corrections"`
}

// correctionResponse is a correction beside the rows it takes the place of.
type correctionResponse struct {
	push.Correction
	BuiltIn []codeRow `json:"built_in"`
}

// correctionRequest is the body of PUT /v1/providers/{provider}/codes/{code}.
type correctionRequest struct {
	Kind              string     `json:"kind"`
	RetryAfterSeconds int        `json:"retry_after_seconds"`
	Scope             push.Scope `json:"scope"`
	Means             string     `json:"means"`
}

var correctionForm = newForm[correctionRequest]()

// getCodes serves GET /v1/providers/{provider}/codes: which answer of the
// service means what to Herald, with the source of it and its date, and what the
// app says in its place.
func (s *Server) getCodes(c echo.Context, who caller) error {
	table, err := s.codeTable(c)
	if err != nil {
		return err
	}
	all, err := s.parts.Corrections.Corrections(c.Request().Context(), who.app, c.Param("provider"))
	if err != nil {
		return err
	}
	shown := codesResponse{codeTable: table, Corrections: []correctionResponse{}}
	for _, n := range all {
		shown.Corrections = append(shown.Corrections, table.beside(n))
	}
	return c.JSON(http.StatusOK, shown)
}

// putCorrection serves PUT /v1/providers/{provider}/codes/{code}: an app says
// what an answer means when it sends. All workers obey within seconds.
func (s *Server) putCorrection(c echo.Context, who caller) error {
	table, err := s.codeTable(c)
	if err != nil {
		return err
	}
	req, fs, err := read(c, maxSmall, correctionForm)
	if err != nil {
		return err
	}
	n := push.Correction{
		App: who.app, Provider: c.Param("provider"), Kind: req.Kind, RetryAfterSeconds: req.RetryAfterSeconds,
		Scope: req.Scope, Means: req.Means, By: who.key, At: s.parts.Now(),
	}
	n.Status, n.Code = pathCode(c, &fs)
	req.check(&fs)
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Corrections.PutCorrection(c.Request().Context(), n); err != nil {
		return err
	}
	s.log.Info("an app corrected a code", "app", who.app, "provider", n.Provider, "code", c.Param("code"),
		"kind", n.Kind, "retry_after_seconds", n.RetryAfterSeconds, "scope", n.Scope, "means", n.Means, "key", who.key)
	return c.JSON(http.StatusOK, table.beside(n))
}

// deleteCorrection serves DELETE /v1/providers/{provider}/codes/{code}: the
// built-in table counts again.
func (s *Server) deleteCorrection(c echo.Context, who caller) error {
	if _, err := s.codeTable(c); err != nil {
		return err
	}
	var fs faults
	status, code := pathCode(c, &fs)
	if err := fs.err(); err != nil {
		return err
	}
	err := s.parts.Corrections.DeleteCorrection(c.Request().Context(), who.app, c.Param("provider"), status, code)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("correction")
	}
	if err != nil {
		return err
	}
	s.log.Info("an app took a correction of a code back", "app", who.app, "provider", c.Param("provider"), "code", c.Param("code"), "key", who.key)
	return c.NoContent(http.StatusNoContent)
}

// codeTable reads the table of the path's provider.
func (s *Server) codeTable(c echo.Context) (codeTable, error) {
	var t codeTable
	raw, ok := s.parts.Codes[c.Param("provider")]
	if !ok {
		return t, notFound("provider with a table of codes")
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("api: table of codes of %s: %w", c.Param("provider"), err)
	}
	return t, nil
}

// beside shows a correction with the rows it takes the place of.
func (t codeTable) beside(n push.Correction) correctionResponse {
	r := correctionResponse{Correction: n, BuiltIn: []codeRow{}}
	for _, row := range t.Codes {
		if row.Code == n.Code && (n.Code != "" || row.Status == n.Status) {
			r.BuiltIn = append(r.BuiltIn, row)
		}
	}
	return r
}

// pathCode reads what a correction is about: a service's own word, or a status
// as "http-503".
func pathCode(c echo.Context, fs *faults) (status int, code string) {
	text := c.Param("code")
	if digits, ok := strings.CutPrefix(text, "http-"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 300 && n <= 599 && len(digits) == 3 {
			return n, ""
		}
		fs.add("code", "must be http- with a status from 300 to 599 behind it, or a word of the service")
		return 0, ""
	}
	if !word.MatchString(text) {
		fs.add("code", `must be 1 to 48 letters, digits or "_", as the service's table writes it, or a status such as http-503`)
	}
	return 0, text
}

func (r correctionRequest) check(fs *faults) {
	if kinds := push.KindNames(); !slices.Contains(kinds, r.Kind) {
		fs.addf("kind", "must be one of %s", strings.Join(kinds, ", "))
	}
	if r.RetryAfterSeconds < 0 || r.RetryAfterSeconds > maxRetryAfter {
		fs.addf("retry_after_seconds", "must be from 0 to %d", maxRetryAfter)
	}
	if !slices.Contains([]push.Scope{push.ScopeProvider, push.ScopeOrigin, push.ScopeToken}, r.Scope) {
		fs.add("scope", "must be origin or token, or left out")
	}
	if !printable(r.Means, maxMeans) {
		fs.addf("means", "must be at most %d bytes without control characters", maxMeans)
	}
}
