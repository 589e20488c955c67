package brain

import (
	"encoding/binary"
	"math"
)

// Slots is how many roads of one device are remembered. A device with more
// forgets the one that it knows least about.
const Slots = 6

// EvidenceSize is the length of an encoded [Evidence].
const EvidenceSize = 32

// Evidence is what a device has taught about its roads beyond what devices like
// it have: for each of up to [Slots] providers how much better or worse than
// expected, in logits. Its zero value knows nothing. It is 32 bytes in memory
// and when stored:
//
//	 0  1  2 … 11   12 13 … 23      24 … 27                      28 … 31
//	int16 mean × 6 | uint16 var × 6 | uint32 providers, 5 bits each | uint32 unix s
//
// Integers are little-endian; a mean counts 1/2048 logit, a variance 1/8192. A
// slot whose five bits are 0 is free, else they are the provider's number plus
// one. The time is when means and variances were last true: from then on they
// drift back to what is believed of a stranger.
type Evidence struct {
	mean  [Slots]int16
	spare [Slots]uint16 // the variance; all zero with the slot free
	roads uint32
	at    uint32
}

const (
	meanUnit = 2048
	varUnit  = 8192
	slotBits = 5
	slotMask = 1<<slotBits - 1
)

// Append appends the encoded evidence.
func (e *Evidence) Append(b []byte) []byte {
	for _, m := range e.mean {
		b = binary.LittleEndian.AppendUint16(b, uint16(m))
	}
	for _, v := range e.spare {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, e.roads)
	return binary.LittleEndian.AppendUint32(b, e.at)
}

// DecodeEvidence undoes [Evidence.Append]. Anything of another length is no
// evidence: the device is a stranger.
func DecodeEvidence(s string) (e Evidence) {
	if len(s) != EvidenceSize {
		return e
	}
	for i := range Slots {
		e.mean[i] = int16(uint16(s[2*i]) | uint16(s[2*i+1])<<8)
		e.spare[i] = uint16(s[12+2*i]) | uint16(s[13+2*i])<<8
	}
	e.roads = word(s[24:])
	e.at = word(s[28:])
	return e
}

func word(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// Known reports whether the device has taught anything at all.
func (e *Evidence) Known() bool { return e.roads != 0 }

// slot finds the provider's slot, -1 if it has none.
func (e *Evidence) slot(provider int) int {
	rest := e.roads
	for i := 0; rest != 0; i++ {
		if int(rest&slotMask) == provider+1 {
			return i
		}
		rest >>= slotBits
	}
	return -1
}

// make finds the provider's slot or gives it one: a free one, or that of the
// road about which least is known.
func (e *Evidence) make(provider int, prior float32) int {
	if i := e.slot(provider); i >= 0 {
		return i
	}
	worst := 0
	for i := range Slots {
		if e.roads>>(i*slotBits)&slotMask == 0 {
			worst = i
			break
		}
		if e.spare[i] > e.spare[worst] {
			worst = i
		}
	}
	e.roads &^= slotMask << (worst * slotBits)
	e.roads |= uint32(provider+1) << (worst * slotBits)
	e.set(worst, gauss{0, prior})
	return worst
}

func (e *Evidence) get(i int) gauss {
	return gauss{float32(e.mean[i]) / meanUnit, float32(e.spare[i]) / varUnit}
}

func (e *Evidence) set(i int, g gauss) {
	m := min(max(math.RoundToEven(float64(g.m)*meanUnit), math.MinInt16), math.MaxInt16)
	v := min(max(math.RoundToEven(float64(g.v)*varUnit), 1), math.MaxUint16)
	e.mean[i], e.spare[i] = int16(m), uint16(v)
}

// Merge adds what one process has learned of a device, which turned before into
// after, to what stands there by now because others learned too. Precisions add,
// and so do means times precisions, as in a [Change].
func (b *Brain) Merge(current, before, after Evidence, now float64) Evidence {
	current.relax(now, b.cfg.Device, b.cfg.HalfLife)
	before.relax(now, b.cfg.Device, b.cfg.HalfLife)
	after.relax(now, b.cfg.Device, b.cfg.HalfLife)
	for i := range Slots {
		provider := int(after.roads>>(i*slotBits)&slotMask) - 1
		if provider < 0 {
			continue
		}
		was, is := gauss{0, b.cfg.Device}, after.get(i)
		if k := before.slot(provider); k >= 0 {
			was = before.get(k)
		}
		if was == is {
			continue
		}
		k := current.make(provider, b.cfg.Device)
		g := current.get(k).plus(Change{Shift: is.m/is.v - was.m/was.v, Precision: 1/is.v - 1/was.v})
		current.set(k, gauss{g.m, min(g.v, b.cfg.Device)})
	}
	return current
}

// fade is how much of a device's difference is left after the time since it was
// last true: an Ornstein-Uhlenbeck process falls back to its mean so.
func (e *Evidence) fade(now float64, halfLife float32) float32 {
	age := now - float64(e.at)
	if e.roads == 0 || age <= 0 {
		return 1
	}
	return float32(math.Exp2(-age / float64(halfLife)))
}

// relax brings all slots to now.
func (e *Evidence) relax(now float64, prior, halfLife float32) {
	if f := e.fade(now, halfLife); f < 1 {
		for i := range Slots {
			if e.roads>>(i*slotBits)&slotMask != 0 {
				e.set(i, e.get(i).faded(f, prior))
			}
		}
	}
	e.at = max(e.at, uint32(max(now, 0)))
}

// faded is a device's difference of which only the part f is left.
func (g gauss) faded(f, prior float32) gauss {
	return gauss{g.m * f, prior + (g.v-prior)*f*f}
}
