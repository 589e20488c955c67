package routing

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/herald-push/herald/im"
)

// A frame is what one node tells another in one message:
//
//	version (1 byte) | sender's name | item | item | …
//
// An item is a kind (1 byte) and its fields. Numbers are uvarints, texts are a
// uvarint length and the bytes:
//
//	deliver:  seq, app, device, id, expiry (Unix ms; 0 means never), payload
//	result:   seq, outcome
//	displace: app, device, boot, serial
//	dismiss:  the same
//	spread:   seq, app, id, expiry, payload, number of devices, each device
//	drain:    clients a second to send away; 0 lets them in again
//	results:  seq, an outcome's number (1 byte) for each device
const frameVersion = 1

const (
	itemDeliver  = 1
	itemResult   = 2
	itemDisplace = 3
	itemDismiss  = 4
	itemSpread   = 5
	itemResults  = 6
	itemDrain    = 7
)

// outcomes are the results a node may answer with; the number on the wire is
// the place in the list. Unknown stands for whatever is not in it.
var outcomes = [...]error{nil, im.ErrNotHere, im.ErrFull, im.ErrExpired, im.ErrTooLarge, im.ErrUnknown}

func outcomeNumber(err error) uint64 {
	for i, o := range outcomes {
		if errors.Is(err, o) {
			return uint64(i)
		}
	}
	return uint64(len(outcomes) - 1)
}

func appendText[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHeader(b []byte, sender string) []byte {
	return appendText(append(b, frameVersion), sender)
}

func appendDeliver(b []byte, seq uint64, d Device, m im.Message) []byte {
	b = binary.AppendUvarint(append(b, itemDeliver), seq)
	return appendMessage(appendText(appendText(b, d.App), d.Device), m)
}

func appendMessage(b []byte, m im.Message) []byte {
	var expiry uint64
	if !m.Expires.IsZero() {
		expiry = uint64(max(m.Expires.UnixMilli(), 1))
	}
	return appendText(binary.AppendUvarint(appendText(b, m.ID), expiry), m.Payload)
}

func appendSpread(b []byte, seq uint64, app string, m im.Message, devices []string) []byte {
	b = binary.AppendUvarint(append(b, itemSpread), seq)
	b = appendMessage(appendText(b, app), m)
	b = binary.AppendUvarint(b, uint64(len(devices)))
	for _, d := range devices {
		b = appendText(b, d)
	}
	return b
}

func appendResults(b []byte, seq uint64, each []byte) []byte {
	return appendText(binary.AppendUvarint(append(b, itemResults), seq), each)
}

func appendResult(b []byte, seq, outcome uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(b, itemResult), seq), outcome)
}

// appendClosing is of the kind itemDisplace or itemDismiss.
func appendClosing(b []byte, kind byte, d Device, p im.Place) []byte {
	b = appendText(appendText(append(b, kind), d.App), d.Device)
	return binary.AppendUvarint(appendText(b, p.Boot), p.Serial)
}

// cursor reads a frame. Once something is wrong, all it reads is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) number() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.b, c.bad = nil, true
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) bytes() []byte {
	n := c.number()
	if n > uint64(len(c.b)) {
		c.b, c.bad = nil, true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) text() string { return string(c.bytes()) }

func (c *cursor) message() im.Message {
	id, expiry, payload := c.text(), c.number(), c.bytes()
	m := im.Message{ID: id, Payload: payload}
	if expiry > 0 {
		m.Expires = time.UnixMilli(int64(expiry))
	}
	return m
}

// receive acts on a frame. One that cannot be read is from a node of another
// version: its deliveries will count as unknown there.
func (r *Router) receive(frame []byte) {
	if len(frame) == 0 || frame[0] != frameVersion {
		r.log.Warn("routing: frame of another version")
		return
	}
	c := cursor{b: frame[1:]}
	sender := c.text()
	for len(c.b) > 0 && !c.bad {
		kind := c.b[0]
		c.b = c.b[1:]
		switch kind {
		case itemDeliver:
			r.receiveDeliver(&c, sender)
		case itemResult:
			seq, outcome := c.number(), c.number()
			if !c.bad {
				r.resolve(seq, nil, outcomes[min(outcome, uint64(len(outcomes)-1))])
			}
		case itemSpread:
			r.receiveSpread(&c, sender)
		case itemResults:
			seq, each := c.number(), c.bytes()
			if !c.bad {
				r.resolve(seq, each, nil)
			}
		case itemDrain:
			if rate := c.number(); !c.bad && r.drain != nil {
				r.drain(int(min(rate, 1<<20)))
			}
		case itemDisplace, itemDismiss:
			r.receiveClosing(&c, kind)
		default:
			c.bad = true
		}
	}
	if c.bad {
		r.log.Warn("routing: frame cut short", "sender", sender)
	}
}

func (r *Router) receiveDeliver(c *cursor, sender string) {
	seq, app, device, m := c.number(), c.text(), c.text(), c.message()
	if c.bad {
		return
	}
	answer := func(err error) {
		r.post(sender, func(b []byte) []byte { return appendResult(b, seq, outcomeNumber(err)) }, 0)
	}
	if r.local == nil {
		answer(im.ErrNotHere)
		return
	}
	r.local.Deliver(app, device, m, answer)
}

func (r *Router) receiveClosing(c *cursor, kind byte) {
	s := im.Session{App: c.text(), Device: c.text()}
	boot := c.text()
	s.Serial = c.number()
	switch {
	case c.bad || r.local == nil || boot != r.boot:
	case kind == itemDismiss:
		r.local.Dismiss(s)
	default:
		r.local.Displace(s)
	}
}
