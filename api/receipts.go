package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

// receiptsRequest is the body of POST /v1/receipts. Its items use the words of
// the "receipts" topic of the live connection.
type receiptsRequest struct {
	Receipts []receiptRequest `json:"receipts"`
}

type receiptRequest struct {
	ID     string     `json:"id"` // as the device was given it: the delivery, or the id it shares with its chunk
	Event  push.Stage `json:"event"`
	At     string     `json:"at"`
	Device string     `json:"device"` // only from a key; a token says it already
}

var receiptsForm = newForm[receiptsRequest]()

// createReceipts serves POST /v1/receipts: evidence from devices, with their
// token, or from an app's server, with a key. Each receipt is answered for
// itself, and reporting one again changes nothing.
func (s *Server) createReceipts(c echo.Context) error {
	return s.within(c, func(ctx context.Context) error {
		who, err := s.reporter(ctx, c.Request())
		if err != nil {
			return err
		}
		if err := s.charge(who.app, 1); err != nil {
			return err
		}
		req, fs, err := read(c, maxReceipts, receiptsForm)
		if err != nil {
			return err
		}
		rs, err := req.receipts(who, fs, s.parts.Now().UTC())
		if err != nil {
			return err
		}
		return s.receive(ctx, c, rs)
	})
}

func (s *Server) receive(ctx context.Context, c echo.Context, rs []push.Receipt) error {
	asked := make([]string, len(rs)) // Receive finds the delivery of an id that many share
	for i := range rs {
		asked[i] = rs[i].Delivery
	}
	errs := s.parts.Queue.Receive(ctx, rs)
	if err := allAway(errs); err != nil {
		return err
	}
	s.logItems(ctx, c, errs)
	results := make([]itemResult, len(rs))
	for i, err := range errs {
		if errors.Is(err, push.ErrNotFound) {
			err = notFound("delivery of this device")
		}
		results[i] = result(c, i, asked[i], http.StatusAccepted, err)
	}
	return c.JSON(http.StatusOK, resultsResponse{results})
}

// receipts checks all items; one that is faulty refuses the request, for a
// device's software that reports nonsense is better told than served in part.
func (r *receiptsRequest) receipts(who caller, fs faults, now time.Time) ([]push.Receipt, error) {
	if n := len(r.Receipts); !fs.has("receipts") && (n == 0 || n > maxItems) {
		fs.addf("receipts", "must have 1 to %d items, not %d", maxItems, n)
		return nil, fs.err()
	}
	rs := make([]push.Receipt, len(r.Receipts))
	for i, item := range r.Receipts {
		field := fmt.Sprintf("receipts[%d]", i)
		notification, ok := push.NotificationOf(item.ID)
		if !ok || !validNotificationID(notification) {
			fs.add(field+".id", "must be the id of a delivery, as the device was given it")
		}
		switch item.Event {
		case push.Delivered, push.Displayed, push.Clicked:
		default:
			fs.addf(field+".event", "%q is none of delivered, displayed, clicked", shorten(string(item.Event)))
		}
		rs[i] = push.Receipt{
			App: who.app, Notification: notification, Delivery: item.ID, Device: reportingDevice(&fs, field, item, who),
			Stage: item.Event, Source: push.AppReport, ReceivedAt: now,
			At: eventTime(instant(&fs, field+".at", item.At), now),
		}
	}
	return rs, fs.err()
}

func reportingDevice(fs *faults, field string, item receiptRequest, who caller) string {
	switch {
	case who.device == "" && item.Device == "":
		fs.add(field+".device", "is missing: a report with a key says whose it is")
	case who.device == "" && !validDeviceID(item.Device):
		fs.add(field+".device", needDeviceID)
	case who.device != "" && item.Device != "" && item.Device != who.device:
		fs.add(field+".device", "is another device than the token's")
	case who.device != "":
		return who.device
	}
	return item.Device
}

// eventTime believes a device's clock unless it is missing or ahead of ours.
func eventTime(at, now time.Time) time.Time {
	if at.IsZero() || at.After(now) {
		return now
	}
	return at
}

// receiveCallback serves POST /v1/callbacks/{provider}. Receipts for what is
// no longer known are dropped: a vendor that repeats them forever helps nobody.
func (s *Server) receiveCallback(c echo.Context) error {
	read, ok := s.parts.Callbacks[c.Param("provider")]
	if !ok {
		return notFound("callback")
	}
	return s.within(c, func(ctx context.Context) error {
		raw, err := body(c, maxReceipts)
		if err != nil {
			return err
		}
		rs, answer, err := read(ctx, c.Request(), raw)
		if errors.Is(err, push.ErrCredentials) {
			return &refusal{status: http.StatusUnauthorized, code: "unauthorized", detail: "the signature does not hold"}
		}
		if err != nil {
			return err
		}
		for _, err := range s.parts.Queue.Receive(ctx, rs) {
			if err != nil && !errors.Is(err, push.ErrNotFound) {
				return err // the vendor comes again, and evidence twice is evidence once
			}
		}
		if answer != nil {
			return c.JSONBlob(http.StatusOK, answer)
		}
		return c.NoContent(http.StatusNoContent)
	})
}
