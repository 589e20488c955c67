package scheduler

import (
	"sync"
	"time"
)

// Each queue has two rows in asynq. An app that hands in much in a short time
// stands in the second, where a worker mostly looks when nobody is in the
// first: those who hand in little never wait behind its backlog.

// rows are the names of a queue's rows in asynq.
func rows(queue string) [2]string { return [2]string{queue, behind(queue)} }

func behind(queue string) string { return queue + "-behind" }

// rowWeights tell how often a worker looks into which row of a queue first.
func rowWeights(queue string) map[string]int { return map[string]int{queue: 9, behind(queue): 1} }

// allRows are the rows of all queues.
func allRows() []string {
	var all []string
	for _, q := range queues {
		r := rows(q)
		all = append(all, r[:]...)
	}
	return all
}

// muchDevices is how many devices an app may name in a [share]'s second, at one
// door and in one urgency, before it stands in the second row. Audiences that
// are looked up count one: their expansion waits for the queue anyhow.
const muchDevices = 1000

// share knows how much each app hands in.
type share struct {
	now func() time.Time

	mu     sync.Mutex
	second int64
	before map[shareKey]int // in the second before
	in     map[shareKey]int // in this second
}

type shareKey struct{ app, urgency string }

func newShare(now func() time.Time) *share { return &share{now: now} }

// row notes that an app hands in so many devices, and tells its row.
func (s *share) row(app, urgency string, devices int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := s.now().Unix(); second != s.second {
		s.before = nil
		if second == s.second+1 {
			s.before = s.in
		}
		s.second, s.in = second, make(map[shareKey]int)
	}
	k := shareKey{app, urgency}
	s.in[k] += devices
	if max(s.in[k], s.before[k]) > muchDevices {
		return behind(urgency)
	}
	return urgency
}
