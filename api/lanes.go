package api

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// maxReason bounds an operator's words about a lane, in bytes.
const maxReason = 200

type lanesResponse struct {
	Lanes []push.Lane `json:"lanes"`
}

// laneRequest is the body of PUT /v1/lanes/{provider}.
type laneRequest struct {
	State  push.LaneState `json:"state"`
	Reason string         `json:"reason"`
}

var laneForm = newForm[laneRequest]()

// listLanes serves GET /v1/lanes: how the app fares with each provider, as all
// workers together see it, a second late at most.
func (s *Server) listLanes(c echo.Context, who caller) error {
	all, err := s.parts.Lanes.Lanes(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, lanesResponse{some(all)})
}

// putLane serves PUT /v1/lanes/{provider}: an operator switches a lane off, for
// a reason, or on again. Workers obey within two seconds.
func (s *Server) putLane(c echo.Context, who caller) error {
	provider := c.Param("provider")
	if _, ok := s.parts.Providers[provider]; !ok {
		return notFound("provider")
	}
	req, fs, err := read(c, maxSmall, laneForm)
	if err != nil {
		return err
	}
	switch req.State {
	case push.LaneOff:
		if req.Reason == "" || !printable(req.Reason, maxReason) {
			fs.addf("reason", "must be 1 to %d bytes without control characters: others will read why", maxReason)
		}
	case push.LaneOpen:
		if req.Reason != "" {
			fs.add("reason", "goes with the state off alone")
		}
	default:
		fs.addf("state", "must be open or off, not %q", shorten(string(req.State)))
	}
	if err := fs.err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := s.parts.Lanes.SwitchLane(ctx, who.app, provider, req.Reason); err != nil {
		return err
	}
	return s.getLane(c, who)
}

// getLane is one lane, open if it was never used.
func (s *Server) getLane(c echo.Context, who caller) error {
	provider := c.Param("provider")
	all, err := s.parts.Lanes.Lanes(c.Request().Context(), who.app)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(l push.Lane) bool { return l.Provider == provider }); i >= 0 {
		return c.JSON(http.StatusOK, all[i])
	}
	return c.JSON(http.StatusOK, push.Lane{App: who.app, Provider: provider, State: push.LaneOpen}) // never used yet
}
