package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Device is one installation of an app. What Herald says of itself, App and
// the times, is not sent to it.
type Device struct {
	App        string    `json:"app,omitempty"`
	ID         string    `json:"id,omitempty"`
	User       string    `json:"user,omitempty"`
	Platform   string    `json:"platform"` // ios android harmony web desktop
	Maker      string    `json:"maker,omitempty"`
	Model      string    `json:"model,omitempty"`
	OS         string    `json:"os,omitempty"`
	AppVersion string    `json:"app_version,omitempty"`
	Country    string    `json:"country,omitempty"` // ISO 3166-1 alpha-2, upper case
	Carrier    string    `json:"carrier,omitempty"`
	Locale     string    `json:"locale,omitempty"`   // BCP 47
	Timezone   string    `json:"timezone,omitempty"` // IANA name
	Tags       []string  `json:"tags,omitempty"`
	Location   *Location `json:"location,omitempty"`
	Addresses  []Address `json:"addresses,omitempty"` // at most one per provider
	CreatedAt  time.Time `json:"created_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"`
}

// Location is a position in degrees.
type Location struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
	// At is when the device itself reported it, and Accuracy how exact it is, in
	// metres. Herald says so, and keeps it: it is not sent to it.
	At       time.Time `json:"at,omitzero"`
	Accuracy float64   `json:"accuracy_m,omitempty"`
}

// Address is where one provider finds a device: its token there, or a phone
// number in E.164 for "sms". "live" needs no token.
type Address struct {
	Provider    string `json:"provider"`
	Token       string `json:"token,omitempty"`
	Topic       string `json:"topic,omitempty"`       // APNs' bundle id
	Environment string `json:"environment,omitempty"` // production (default) or sandbox, for APNs
}

// PutDevice registers the device d.ID, or replaces what is known of it, and
// returns it as Herald keeps it. An address that another device had moves here.
func (c *Client) PutDevice(ctx context.Context, d Device) (Device, error) {
	path := devicePath(d.ID)
	d.App, d.ID, d.CreatedAt, d.UpdatedAt = "", "", time.Time{}, time.Time{}
	if d.Location != nil && !d.Location.At.IsZero() {
		d.Location = nil
	}
	return ask[Device](ctx, c, http.MethodPut, path, d)
}

// Device reads a device.
func (c *Client) Device(ctx context.Context, id string) (Device, error) {
	return ask[Device](ctx, c, http.MethodGet, devicePath(id), nil)
}

// DeleteDevice forgets a device.
func (c *Client) DeleteDevice(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, devicePath(id), nil, nil)
}

// Token lets a device log in on the live connection and report receipts.
type Token struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// DeviceToken makes a token for a device.
func (c *Client) DeviceToken(ctx context.Context, id string) (Token, error) {
	return ask[Token](ctx, c, http.MethodPost, devicePath(id)+"/token", nil)
}

func devicePath(id string) string { return "/v1/devices/" + url.PathEscape(id) }

// Receipt is what a device has done with a delivery.
type Receipt struct {
	ID     string    `json:"id"`               // as the device was given it: "id", or "herald_id" in a vendor's message
	Event  Stage     `json:"event"`            // Delivered, Displayed or Clicked
	At     time.Time `json:"at,omitzero"`      // by the device's clock; default now
	Device string    `json:"device,omitempty"` // whose it is: needed with a key, known from a device's token
}

// Receipts reports up to 1,000 receipts. Reporting one again changes nothing.
func (c *Client) Receipts(ctx context.Context, rs []Receipt) ([]Result, error) {
	in := struct {
		Receipts []Receipt `json:"receipts"`
	}{rs}
	out, err := ask[results](ctx, c, http.MethodPost, "/v1/receipts", in)
	return out.Results, err
}

// CredentialsInfo is all that Herald ever shows of an app's credentials.
type CredentialsInfo struct {
	Provider  string    `json:"provider"`
	Version   int       `json:"version"`
	UpdatedAt time.Time `json:"updated_at"`
}

// PutCredentials gives what the provider needs to know to send for the app, as
// the JSON object that docs/providers.md describes.
func (c *Client) PutCredentials(ctx context.Context, app, provider string, credentials json.RawMessage) (CredentialsInfo, error) {
	return ask[CredentialsInfo](ctx, c, http.MethodPut, "/v1/apps/"+url.PathEscape(app)+"/providers/"+url.PathEscape(provider), credentials)
}
