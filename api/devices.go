package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// putDevice serves PUT /v1/devices/{device}: it registers a device or replaces
// what is known of it. Addresses that another device had move here.
//
// The live address stays although a body leaves it out, for it was given with
// the device's token and means only that the device may connect.
func (s *Server) putDevice(c echo.Context, who caller) error {
	req, fs, err := read(c, maxSmall, deviceForm)
	if err != nil {
		return err
	}
	d, err := req.device(who.app, c.Param("device"), fs, s.parts.Providers)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := s.keepLive(ctx, d); err != nil {
		return err
	}
	if err := s.parts.Devices.PutDevice(ctx, d); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d)
}

func (s *Server) keepLive(ctx context.Context, d *push.Device) error {
	if _, named := d.Address(push.Live); named {
		return nil
	}
	old, err := s.parts.Devices.Device(ctx, d.App, d.ID)
	if errors.Is(err, push.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if live, had := old.Address(push.Live); had {
		d.Addresses = append(d.Addresses, live)
	}
	return nil
}

// getDevice serves GET /v1/devices/{device}.
func (s *Server) getDevice(c echo.Context, who caller) error {
	d, err := s.device(c, who)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, d)
}

func (s *Server) device(c echo.Context, who caller) (*push.Device, error) {
	id := c.Param("device")
	if !validDeviceID(id) {
		return nil, notFound("device")
	}
	d, err := s.parts.Devices.Device(c.Request().Context(), who.app, id)
	if errors.Is(err, push.ErrNotFound) {
		return nil, notFound("device")
	}
	return d, err
}

// deleteDevice serves DELETE /v1/devices/{device}.
func (s *Server) deleteDevice(c echo.Context, who caller) error {
	id := c.Param("device")
	if !validDeviceID(id) {
		return notFound("device")
	}
	err := s.parts.Devices.DeleteDevice(c.Request().Context(), who.app, id)
	if errors.Is(err, push.ErrNotFound) {
		return notFound("device")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type tokenResponse struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// mintToken serves POST /v1/devices/{device}/token. Who has a token may
// connect, so the device gets its live address here if it has none yet.
func (s *Server) mintToken(c echo.Context, who caller) error {
	d, err := s.device(c, who)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if _, live := d.Address(push.Live); !live {
		reachable := *d
		reachable.Addresses = append(append([]push.Address{}, d.Addresses...), push.Address{Provider: push.Live, Token: d.ID})
		if err := s.parts.Devices.PutDevice(ctx, &reachable); err != nil {
			return err
		}
	}
	token, expires, err := s.parts.Tokens.Mint(ctx, who.app, d.ID)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(http.StatusOK, tokenResponse{token, expires.UTC()})
}
