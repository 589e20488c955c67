package brain

// Tick must be called about once a second: it compares the receipts that came
// with those that should have. Seconds in which it was not called count too, up
// to a minute of them.
func (b *Brain) Tick(now float64) {
	second := int64(now) - 1 // the last one that is over
	if b.now == 0 {
		b.health.second, b.kept = second-1, now
	}
	b.health.second = max(b.health.second, second-window)
	for b.health.second < second {
		b.health.tick(b.health.second + 1)
	}
	b.now = now
	if b.health.changed {
		b.health.changed = false
		for i := range b.kinds {
			b.judge(int32(i))
		}
	}
	if now-b.kept >= upkeep {
		b.effects.drift(now - b.kept)
		b.delays.refresh()
		b.kept = now
	}
}

// Changes lists what was learned of shared effects since the last call, for
// other brains to [Brain.Learn].
func (b *Brain) Changes(to []Change) []Change { return b.effects.changes(to) }

// Learn takes in what another brain has learned.
func (b *Brain) Learn(changes []Change) {
	for _, c := range changes {
		b.effects.add(c)
	}
}
