package longconn

import "time"

// wheel is the timers of a loop: a ring of slots, a tick apart, with an entry
// of 12 bytes for each connection that has a deadline. A deadline beyond the
// ring is looked at once in a turn, and one that moved away when its old time
// comes, so hearing from a client costs nothing here.
type wheel struct {
	slots [wheelSlots][]alarm
	start time.Time
	tick  uint32 // the last one that has rung
	set   int    // alarms
}

// alarm is a connection's entry. It counts if the connection still has this
// tick in mind.
type alarm struct {
	slot int32
	gen  uint32
	tick uint32
}

const (
	wheelSlots = 1024
	tickLength = 100 * time.Millisecond
)

func (w *wheel) begin(now time.Time) { w.start, w.tick = now, 1 }

// at is the tick by which a time has passed.
func (w *wheel) at(t time.Time) uint32 {
	return uint32(max(t.Sub(w.start)+tickLength-1, 0)/tickLength) + 1
}

// add rings for a connection at a time or, if that is far, before. It returns
// the tick.
func (w *wheel) add(slot int32, gen uint32, t time.Time) uint32 {
	tick := min(max(w.at(t), w.tick+1), w.tick+wheelSlots-1)
	at := &w.slots[tick%wheelSlots]
	*at = append(*at, alarm{slot, gen, tick})
	w.set++
	return tick
}

// turn rings what is due.
func (w *wheel) turn(now time.Time, ring func(alarm)) {
	due := uint32(max(now.Sub(w.start), 0)/tickLength) + 1
	for w.tick < due {
		w.tick++
		slot := w.slots[w.tick%wheelSlots]
		w.slots[w.tick%wheelSlots] = nil
		w.set -= len(slot)
		for _, a := range slot {
			ring(a)
		}
	}
}

// patience is how long until something may be due, in ms: at most a second.
func (w *wheel) patience(now time.Time) int {
	const most = uint32(time.Second / tickLength)
	if w.set == 0 {
		return -1
	}
	for i := uint32(1); i <= most; i++ {
		if len(w.slots[(w.tick+i)%wheelSlots]) > 0 {
			at := w.start.Add(time.Duration(w.tick+i-1) * tickLength)
			return int(max(at.Sub(now), 0)/time.Millisecond) + 1
		}
	}
	return int(time.Second / time.Millisecond)
}
