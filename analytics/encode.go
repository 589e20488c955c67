package analytics

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/herald-push/herald/push"
)

// Texts that vendors and the selector make are cut to these lengths in bytes.
const (
	maxDetail = 256
	maxWhy    = 512
)

// errEncoding means bytes that [appendReceipt] did not write.
var errEncoding = errors.New("analytics: not a receipt")

// texts lists the string fields of a receipt in the order of the encoding. To
// change it is to change the magic of segments. The id is not kept: it is delivery,
// attempt and stage.
func texts(r *push.Receipt) [17]*string {
	return [...]*string{
		&r.App, &r.Notification, &r.Delivery, &r.Device, (*string)(&r.Class),
		&r.Provider, &r.ProviderID, (*string)(&r.Stage), (*string)(&r.Source),
		&r.Kind, &r.Code, &r.Detail, &r.Why,
		&r.Platform, &r.Maker, &r.OS, &r.AppVersion,
	}
}

// appendReceipt appends r: each text as length and bytes, then country and
// carrier, then the numbers as varints; times are nanoseconds since 1970.
func appendReceipt(b []byte, r *push.Receipt) []byte {
	for _, s := range texts(r) {
		b = appendText(b, *s)
	}
	b = appendText(b, r.Country)
	b = appendText(b, r.Carrier)
	for _, n := range [...]int64{
		int64(r.Attempt), r.At.UnixNano(), r.ReceivedAt.UnixNano(),
		int64(r.SinceAccepted), int64(r.Took), r.CostMicros, int64(r.Bytes),
	} {
		b = binary.AppendVarint(b, n)
	}
	b = appendDecision(b, r.Decision)
	b = appendText(b, r.Campaign)
	b = binary.AppendVarint(b, int64(r.Road))
	return binary.AppendVarint(b, int64(r.Skew))
}

// appendDecision appends how a road was chosen: the number of roads plus one,
// or 0 where nothing was decided, then texts, flags and shares.
func appendDecision(b []byte, d *push.Decision) []byte {
	if d == nil {
		return binary.AppendVarint(b, 0)
	}
	b = binary.AppendVarint(b, int64(len(d.Roads))+1)
	b = appendText(appendText(b, d.Policy), d.Wished)
	flags := int64(0)
	if d.Explored {
		flags |= 1
	}
	if d.Online {
		flags |= 2
	}
	b = binary.AppendVarint(b, flags)
	b = appendShare(b, d.Propensity)
	for _, r := range d.Roads {
		b = appendText(b, r.Provider)
		b = appendShare(appendShare(b, float64(r.Score)), float64(r.Propensity))
		b = appendShare(appendShare(b, float64(r.Cost)), float64(r.Seconds))
	}
	return b
}

// appendShare keeps six digits behind the point.
func appendShare(b []byte, x float64) []byte {
	return binary.AppendVarint(b, int64(math.Round(max(-1e6, min(1e6, x))*1e6)))
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Versions of the encoding, by what each added to the one before.
const (
	firstVersion    = iota + 1
	decisionVersion // how a road was chosen
	campaignVersion // campaign, road and skew
	costVersion     // what roads cost and how long they take
	latestVersion   = costVersion
)

// decodeReceipts undoes a run of [appendReceipt] of this version or an earlier one.
func decodeReceipts(rs []push.Receipt, b []byte, version int) ([]push.Receipt, error) {
	d := decoder{rest: b, all: string(b)}
	for len(d.rest) > 0 && !d.bad {
		rs = append(rs, push.Receipt{})
		r := &rs[len(rs)-1]
		for _, s := range texts(r) {
			*s = d.text()
		}
		r.Country, r.Carrier = d.text(), d.text()
		r.Attempt = int(d.number())
		r.At, r.ReceivedAt = d.time(), d.time()
		r.SinceAccepted, r.Took = time.Duration(d.number()), time.Duration(d.number())
		r.CostMicros, r.Bytes = d.number(), int(d.number())
		if version >= decisionVersion {
			r.Decision = d.decision(version)
		}
		if version >= campaignVersion {
			r.Campaign = d.text()
			r.Road, r.Skew = int(d.number()), time.Duration(d.number())
		}
	}
	if d.bad {
		return nil, errEncoding
	}
	return rs, nil
}

// decoder reads what is left; once bad, it reads zeros.
type decoder struct {
	rest []byte
	all  string // of which the texts are parts
	bad  bool
}

func (d *decoder) text() string {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)-size) {
		d.bad = true
		return ""
	}
	begin := len(d.all) - len(d.rest) + size
	d.rest = d.rest[size+int(n):]
	return d.all[begin : begin+int(n)]
}

func (d *decoder) number() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) decision(version int) *push.Decision {
	n := d.number() - 1
	if n < 0 || n > int64(len(d.rest)) {
		d.bad = d.bad || n > 0
		return nil
	}
	out := &push.Decision{Policy: d.text(), Wished: d.text()}
	flags := d.number()
	out.Explored, out.Online = flags&1 != 0, flags&2 != 0
	out.Propensity = float64(d.number()) / 1e6
	out.Roads = make([]push.Candidate, n)
	for i := range out.Roads {
		c := push.Candidate{Provider: d.text(), Score: d.share(), Propensity: d.share()}
		if version >= costVersion {
			c.Cost, c.Seconds = d.share(), d.share()
		}
		c.Chance = c.Score + c.Cost
		out.Roads[i] = c
	}
	return out
}

func (d *decoder) share() float32 { return float32(d.number()) / 1e6 }

func (d *decoder) time() time.Time { return time.Unix(0, d.number()).UTC() }

// tidy brings a receipt into the range that ClickHouse can hold, so that no
// report from a device with a broken clock can hold up a batch forever.
func tidy(r *push.Receipt, now time.Time) {
	if r.ReceivedAt.Before(now.Add(-maxAge)) || r.ReceivedAt.After(now.Add(time.Hour)) {
		r.ReceivedAt = now
	}
	r.SinceAccepted = min(max(r.SinceAccepted, 0), maxAge)
	if r.At.IsZero() {
		r.At = r.ReceivedAt
	}
	if at := possible(r); !at.Equal(r.At) {
		r.Skew = min(max(r.At.Sub(at), -maxSkew), maxSkew)
		r.At = at
	}
	r.Took = max(r.Took, 0)
	r.Detail = cut(r.Detail, maxDetail)
	r.Why = cut(r.Why, maxWhy)
}

// possible is the time at the source that is nearest to what it said and can be
// true: not before the notification was accepted and not after its evidence had
// come, give or take a minute for clocks that are nearly right.
func possible(r *push.Receipt) time.Time {
	first, last := r.ReceivedAt.Add(-r.SinceAccepted-goodClock), r.ReceivedAt.Add(goodClock)
	switch {
	case r.At.Before(first):
		return first.Add(goodClock)
	case r.At.After(last):
		return r.ReceivedAt
	default:
		return r.At
	}
}

const (
	goodClock = time.Minute         // nobody's clock is asked to be better
	maxSkew   = 24 * 24 * time.Hour // what 32 bits of milliseconds hold; more is noted as this
)

// maxAge bounds how far back a receipt may reach; no ttl is longer.
const maxAge = 35 * 24 * time.Hour

// cut shortens s to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
