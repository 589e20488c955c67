package smpp

import (
	"context"
	"time"

	"github.com/herald-push/herald/providers/smpp/pdu"
	"github.com/herald-push/herald/push"
)

// read takes what the service sends until the connection ends.
func (s *session) read() error {
	for {
		unit, err := pdu.Read(s.in)
		if err != nil {
			return err
		}
		s.heard.Store(true)
		if err := s.handle(unit); err != nil {
			return err
		}
	}
}

func (s *session) handle(unit pdu.PDU) error {
	switch unit.Command {
	case pdu.SubmitSMResp:
		return s.answered(unit)
	case pdu.GenericNack:
		if unit.Status == 0 {
			unit.Status = statusUnknown // a nack without a reason is no success
		}
		return s.answered(unit)
	case pdu.DeliverSM:
		s.delivered(unit)
	case pdu.EnquireLink:
		s.send(pdu.PDU{Command: pdu.EnquireLinkResp, Sequence: unit.Sequence})
	case pdu.Unbind:
		s.mu.Lock()
		s.leaving = true
		s.mu.Unlock()
		s.send(pdu.PDU{Command: pdu.UnbindResp, Sequence: unit.Sequence})
		// The service closes when it has read that; answers may come before.
		return s.conn.SetReadDeadline(time.Now().Add(s.p.pace.goodbye))
	case pdu.UnbindResp:
		return errUnbound
	case pdu.AlertNotify:
	default:
		if !unit.Command.IsResponse() {
			s.send(pdu.PDU{Command: pdu.GenericNack, Status: statusCommand, Sequence: unit.Sequence})
		}
	}
	return nil
}

// answered completes a request. The message's id is written down before the
// next unit is read, for that may be its receipt.
func (s *session) answered(unit pdu.PDU) error {
	r := s.take(unit.Sequence)
	if r == nil {
		return nil
	}
	a := reply{status: unit.Status}
	v := silent
	switch unit.Status {
	case 0:
		v = taken
		body, _ := pdu.ParseAnswer(unit.Body) // the message is taken, even under a name nobody can read
		a.id = body.ID
		r.id = body.ID
		if s.p.report.Load() != nil {
			s.remember(r.awaited)
		}
	case statusThrottled, statusQueueFull:
		v = overloaded
	}
	s.p.window.release(r.epoch, v)
	r.answer <- a
	if unit.Status == statusUnbound {
		return errUnbound // only a new bind helps
	}
	return nil
}

func (s *session) remember(a *awaited) {
	for _, before := range s.p.ledger.sent(a, time.Now()) {
		select {
		case s.receipts <- arrival{receipt: before}:
		default: // so many wait already that one less is the smaller harm
		}
	}
}

// delivered takes a deliver_sm. What people write to the sender is not ours to
// carry: it is acknowledged, or the service would bring it forever.
func (s *session) delivered(unit pdu.PDU) {
	m, err := pdu.ParseMessage(unit.Body)
	if err != nil {
		s.acknowledge(unit.Sequence, statusRefused)
		return
	}
	if !m.IsReceipt() {
		s.acknowledge(unit.Sequence, 0)
		return
	}
	select {
	case s.receipts <- arrival{readReceipt(&m), unit.Sequence}:
	default:
		s.acknowledge(unit.Sequence, statusTryAgain)
	}
}

func (s *session) acknowledge(sequence, status uint32) {
	unit := pdu.PDU{Command: pdu.DeliverSMResp, Status: status, Sequence: sequence}
	if status == 0 {
		unit.Body = []byte{0} // message_id is unused (section 4.6.2)
	}
	s.send(unit)
}

// reportAll reports receipts and acknowledges those that were taken. One that
// could not be kept is left with the service, which brings it again.
func (s *session) reportAll(ctx context.Context) {
	for {
		select {
		case <-s.dead:
			return
		case a := <-s.receipts:
			status := uint32(0)
			if err := s.p.proved(ctx, a.receipt); err != nil {
				status = statusTryAgain
			}
			if a.sequence != 0 {
				s.acknowledge(a.sequence, status)
			}
		}
	}
}

// proved reports what a receipt proves. One that belongs to nothing we know
// proves nothing. An error has the service bring it again.
func (p *Provider) proved(ctx context.Context, r receipt) error {
	report, stage, now := p.report.Load(), r.stage(), time.Now()
	if report == nil || stage == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.pace.report)
	defer cancel()
	a := p.ledger.find(r, now)
	if a == nil {
		var err error
		if a, err = p.recall(ctx, r); a == nil {
			return err
		}
	}
	if err := p.gather(ctx, a, stage); err != nil {
		return err
	}
	whole := p.ledger.proves(a, stage)
	if whole != "" {
		if err := (*report)(ctx, []push.Receipt{p.evidence(a, r, whole, now)}); err != nil {
			return err
		}
	}
	p.ledger.tell(a, whole, stage)
	return nil
}

// evidence is the receipt in Herald's words. The service's own time has no zone
// and is not believed.
func (p *Provider) evidence(a *awaited, r receipt, stage push.Stage, now time.Time) push.Receipt {
	notification, _, _, _ := push.ParseDeliveryID(a.delivery) // the queue made it
	rec := push.Receipt{
		App: a.app, Notification: notification, Delivery: a.delivery, Device: a.device,
		Provider: name, ProviderID: a.id, Stage: stage, Source: push.VendorCallback, At: now.UTC(), ReceivedAt: now.UTC(),
	}
	if stage == push.Failed || stage == push.Unknown {
		e := p.codes.Error(name, 0, r.state)
		rec.Kind, rec.Code, rec.Detail = push.KindName(e.Kind), r.state, e.Detail
		if r.network != "" && digits(r.network) && len(r.network) <= 8 && r.network != "000" {
			rec.Detail += ", network error " + r.network
		}
	}
	return rec
}
