package scheduler

import (
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

// line is who waits for a place in a lane: what is urgent first, and within an
// urgency whoever came first. So that a busy lane does not starve a campaign,
// every fourth place that is not taken by a critical message is a bulk one's.
type line struct {
	rows  [len(queues)][]*waiter
	turns int
}

// waiter asks for a place. It is told once whether it has one.
type waiter struct {
	pass     pass
	turn     func(pass, error)
	patience *time.Timer // until it is sent away
}

const fairTurn = 4

func row(c push.Class) int { return slices.Index(queues[:], c.Urgency()) }

// join appends a waiter.
func (ln *line) join(w *waiter) {
	r := row(w.pass.class)
	ln.rows[r] = append(ln.rows[r], w)
}

// quit takes a waiter out; false if it is not there any more.
func (ln *line) quit(w *waiter) bool {
	r := row(w.pass.class)
	i := slices.Index(ln.rows[r], w)
	if i < 0 {
		return false
	}
	if i == 0 { // without moving the others
		ln.rows[r][0] = nil
		ln.rows[r] = ln.rows[r][1:]
		ln.turns++
	} else {
		ln.rows[r] = slices.Delete(ln.rows[r], i, i+1)
	}
	return true
}

// first is whose turn it is; nil if nobody waits.
func (ln *line) first() *waiter {
	order := [len(queues)]int{0, 1, 2}
	if ln.turns%fairTurn == fairTurn-1 {
		order[1], order[2] = 2, 1
	}
	for _, r := range order {
		if len(ln.rows[r]) > 0 {
			return ln.rows[r][0]
		}
	}
	return nil
}

// before tells whether somebody waits whose turn comes before a class's.
func (ln *line) before(c push.Class) bool { return ln.ahead(c) > 0 }

// ahead is how many wait whose turn comes before a class's.
func (ln *line) ahead(c push.Class) (n int) {
	for r := range row(c) + 1 {
		n += len(ln.rows[r])
	}
	return n
}

func (ln *line) len() (n int) {
	for r := range ln.rows {
		n += len(ln.rows[r])
	}
	return n
}
