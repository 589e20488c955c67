package access

import (
	"context"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// PositionsTopic is where devices tell where they are.
const PositionsTopic = "positions"

// Positions takes what devices say on [PositionsTopic].
type Positions interface {
	// Report returns once what was said is kept. An error is either a refusal,
	// which the device has been told on its inbox, or, if retry is set, Herald's
	// own trouble: the device is to say it again.
	Report(ctx context.Context, who im.Session, payload []byte) (retry bool, err error)
}

// Track lets devices tell where they are. It is called before the first
// connection.
func (a *Access) Track(p Positions) { a.positions = p }

// track deals with one report. Their order does not matter: each has its times.
func (a *Access) track(s *session, p longconn.Publication) {
	a.spawn(func() {
		ctx, cancel := context.WithTimeout(a.life, sayLimit)
		defer cancel()
		retry, err := a.positions.Report(ctx, s.Session(), p.Payload)
		switch {
		case err == nil:
			p.Ack(mqtt.Success)
		case retry:
			a.log.Warn("access: where a device is was not kept", "device", s.Key(), "err", err)
			p.Ack(mqtt.QuotaExceeded)
		default:
			p.Ack(mqtt.Unspecified)
		}
	})
}
