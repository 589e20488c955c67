package places

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// coarseStep is the side of the squares that coarse positions are rounded to,
// in degrees of latitude: 1.1 km.
const coarseStep = 0.01

// coarse is the middle of the square of about a kilometre that a point is in.
// Squares are as many degrees wide as makes a kilometre at their latitude.
func coarse(p point) point {
	lat := min((math.Floor(p.lat/coarseStep)+0.5)*coarseStep, 90)
	across := 360 / math.Max(math.Round(360*math.Cos(lat*math.Pi/180)/coarseStep), 1)
	lon := -180 + (math.Floor((p.lon+180)/across)+0.5)*across
	if lon > 180 {
		lon -= 360
	}
	return point{lat, lon}
}

// blurMost is how far a person is shown from the middle of their square, in
// metres.
const blurMost = 400

// blur is where others find somebody who may be found. It depends on the square
// and the device alone: who asks again, or from elsewhere, learns nothing more.
func (p *Places) blur(app, device string, at point) point {
	at = coarse(at)
	square := binary.BigEndian.AppendUint64(nil, math.Float64bits(at.lat))
	square = binary.BigEndian.AppendUint64(square, math.Float64bits(at.lon))
	sum := p.mac(app, device, string(square))
	part := func(b []byte) float64 { return float64(binary.BigEndian.Uint64(b)) / (1 << 64) }
	turn, far := 2*math.Pi*part(sum), blurMost*math.Sqrt(part(sum[8:]))
	return offset(at, far*math.Cos(turn), far*math.Sin(turn))
}

// mac is what only Herald can work out of some texts.
func (p *Places) mac(texts ...string) []byte {
	mac := hmac.New(sha256.New, p.parts.Secret)
	for _, text := range texts {
		mac.Write(binary.AppendUvarint(nil, uint64(len(text))))
		mac.Write([]byte(text))
	}
	return mac.Sum(nil)
}

// offset is a point so many metres north and east of another; a short way.
func offset(p point, north, east float64) point {
	const metre = 180 / (math.Pi * earthRadius)
	lat := max(min(p.lat+north*metre, 90), -90)
	lon := p.lon + east*metre/max(math.Cos(p.lat*math.Pi/180), 1e-6)
	return point{lat, math.Remainder(lon, 360)}
}
