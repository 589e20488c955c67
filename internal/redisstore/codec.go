package redisstore

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/herald-push/herald/push"
)

// A cached device is written field by field: strings and lists after their
// length, times as unix microseconds. Reading one costs a tenth of what JSON
// does, and no copy, for its strings are parts of what Redis sent. The first
// byte is the layout; a process that does not know it takes it for a miss.
const deviceLayout = 1

func encodeDevice(d *push.Device) []byte {
	b := make([]byte, 0, 256)
	b = append(b, deviceLayout)
	for _, s := range [...]string{
		d.App, d.ID, d.User, d.Platform, d.Maker, d.Model, d.OS,
		d.AppVersion, d.Country, d.Carrier, d.Locale, d.Timezone,
	} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Tags)))
	for _, t := range d.Tags {
		b = appendString(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Addresses)))
	for _, a := range d.Addresses {
		b = appendString(appendString(b, a.Provider), a.Token)
		b = appendString(appendString(b, a.Topic), a.Environment)
	}
	if d.Location == nil {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(d.Location.Lat))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(d.Location.Lon))
	}
	return appendTime(appendTime(b, d.CreatedAt), d.UpdatedAt)
}

// decodeDevice undoes [encodeDevice]; nil for anything else.
func decodeDevice(text string) *push.Device {
	if text == "" || text[0] != deviceLayout {
		return nil
	}
	r := reader{text: text[1:], ok: true}
	d := &push.Device{
		App: r.string(), ID: r.string(), User: r.string(), Platform: r.string(),
		Maker: r.string(), Model: r.string(), OS: r.string(), AppVersion: r.string(),
		Country: r.string(), Carrier: r.string(), Locale: r.string(), Timezone: r.string(),
	}
	if n := r.count(); n > 0 {
		d.Tags = make([]string, n)
		for i := range d.Tags {
			d.Tags[i] = r.string()
		}
	}
	if n := r.count(); n > 0 {
		d.Addresses = make([]push.Address, n)
		for i := range d.Addresses {
			d.Addresses[i] = push.Address{Provider: r.string(), Token: r.string(), Topic: r.string(), Environment: r.string()}
		}
	}
	if r.byte() == 1 {
		d.Location = &push.Location{Lat: r.float(), Lon: r.float()}
	}
	d.CreatedAt, d.UpdatedAt = r.time(), r.time()
	if !r.ok || r.text != "" {
		return nil
	}
	return d
}

// noTime stands for the zero time, which has no place among microseconds.
const noTime = math.MinInt64

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, noTime)
	}
	return binary.AppendVarint(b, t.UnixMicro())
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes an encoded device apart. After the first fault everything it
// reads is empty and ok is false.
type reader struct {
	text string
	ok   bool
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.text) {
		r.ok, r.text = false, ""
		return ""
	}
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

func (r *reader) byte() byte {
	if s := r.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	r.ok = false
	return 0
}

// count reads a length, which can be no more than what is left to read.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.text)) {
		r.ok, r.text = false, ""
		return 0
	}
	return int(n)
}

func (r *reader) string() string { return r.take(r.count()) }

func (r *reader) float() float64 {
	s := r.take(8)
	if s == "" {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64([]byte(s)))
}

func (r *reader) time() time.Time {
	x := r.uvarint()
	v := int64(x>>1) ^ -int64(x&1) // as binary.AppendVarint wrote it
	if v == noTime || !r.ok {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}
