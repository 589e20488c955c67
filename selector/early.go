package selector

// proofOf is evidence that came before the answer to its attempt was known here:
// devices may be faster than their provider's answer is written down.
type proofOf struct {
	at     float64
	report bool
}

// early keeps such evidence for a while, in two ages.
type early struct {
	most     int
	now, old map[uint64]proofOf
	turned   float64
}

// earlyLife is the least that early evidence is kept, in seconds.
const earlyLife = 60

func newEarly(most int) early { return early{most: most, now: map[uint64]proofOf{}} }

func (e *early) put(key uint64, p proofOf) {
	if _, known := e.now[key]; known || len(e.now) >= e.most {
		return
	}
	e.now[key] = p
}

// take gives what is kept for an attempt, once.
func (e *early) take(key uint64) (p proofOf, ok bool) {
	for _, age := range [...]map[uint64]proofOf{e.now, e.old} {
		if p, ok = age[key]; ok {
			delete(age, key)
			return p, true
		}
	}
	return p, false
}

// forget lets go of what is older than two ages.
func (e *early) forget(now float64) {
	if now-e.turned >= earlyLife {
		e.turned, e.old, e.now = now, e.now, map[uint64]proofOf{}
	}
}
