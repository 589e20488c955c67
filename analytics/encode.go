package analytics

import (
	"encoding/binary"
	"errors"
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
// change it is to change [segmentMagic]. The id is not kept: it is delivery,
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
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decodeReceipts undoes a run of [appendReceipt].
func decodeReceipts(rs []push.Receipt, b []byte) ([]push.Receipt, error) {
	d := decoder{rest: b}
	for len(d.rest) > 0 && !d.bad {
		var r push.Receipt
		for _, s := range texts(&r) {
			*s = d.text()
		}
		r.Country, r.Carrier = d.text(), d.text()
		r.Attempt = int(d.number())
		r.At, r.ReceivedAt = d.time(), d.time()
		r.SinceAccepted, r.Took = time.Duration(d.number()), time.Duration(d.number())
		r.CostMicros, r.Bytes = d.number(), int(d.number())
		rs = append(rs, r)
	}
	if d.bad {
		return nil, errEncoding
	}
	return rs, nil
}

// decoder reads what is left; once bad, it reads zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) text() string {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)-size) {
		d.bad = true
		return ""
	}
	s := string(d.rest[size : size+int(n)])
	d.rest = d.rest[size+int(n):]
	return s
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

func (d *decoder) time() time.Time { return time.Unix(0, d.number()).UTC() }

// tidy brings a receipt into the range that ClickHouse can hold, so that no
// report from a device with a broken clock can hold up a batch forever.
func tidy(r *push.Receipt, now time.Time) {
	if r.ReceivedAt.Before(now.Add(-maxAge)) || r.ReceivedAt.After(now.Add(time.Hour)) {
		r.ReceivedAt = now
	}
	if r.At.Year() < 2000 || r.At.Year() > 2100 {
		r.At = r.ReceivedAt
	}
	r.SinceAccepted = min(max(r.SinceAccepted, 0), maxAge)
	r.Took = max(r.Took, 0)
	r.Detail = cut(r.Detail, maxDetail)
	r.Why = cut(r.Why, maxWhy)
}

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
