package push

import (
	"encoding/json"
	"time"
)

// NotificationQuery narrows the list of an app's notifications, the newest
// first. Empty fields narrow nothing.
type NotificationQuery struct {
	ID           string // a part of the id
	Class        Class
	State        State
	Device, User string // whose deliveries are among it
	Since, Until time.Time
	Before       string // the cursor of the page before; "" for the first
	Limit        int
}

// QueueState is what an operator sees of a queue, in tasks of all apps. A task
// carries up to a few hundred deliveries.
type QueueState struct {
	Queue     string `json:"queue"`
	Pending   int    `json:"pending"`
	Active    int    `json:"active"`
	Scheduled int    `json:"scheduled"` // later: deliver_at, retries, fallback timers
	Retry     int    `json:"retry"`     // failed for Herald's own trouble, to run again
	Archived  int    `json:"archived"`  // given up after many such failures
	// OldestSeconds is how long the oldest pending task has waited.
	OldestSeconds float64 `json:"oldest_seconds"`
	// PerSecond is how many tasks are run, over the last seconds; the others
	// are since midnight UTC.
	PerSecond float64 `json:"per_second"`
	Processed int     `json:"processed_today"`
	Failed    int     `json:"failed_today"`
}

// QueueTask is one task of an app in a queue.
type QueueTask struct {
	ID      string          `json:"id"`
	Queue   string          `json:"queue"`
	State   string          `json:"state"` // pending, active, scheduled, retry or archived
	Kind    string          `json:"kind"`  // bundle, expand, deliver, check or digest
	App     string          `json:"app"`
	Size    int             `json:"size"` // deliveries or notifications that it carries, at most
	Retried int             `json:"retried"`
	Most    int             `json:"most_retries"`
	Error   string          `json:"error,omitempty"` // of the last run
	FailsAt time.Time       `json:"failed_at,omitzero"`
	NextAt  time.Time       `json:"next_at,omitzero"`
	Payload json.RawMessage `json:"payload,omitempty"` // of one that is looked at alone
}

// TaskStates lists where a task can be.
var TaskStates = [...]string{"pending", "active", "scheduled", "retry", "archived"}

// Node is a process that holds live connections, as it said last.
type Node struct {
	ID           string            `json:"id"`
	Since        time.Time         `json:"since"` // when the process began
	At           time.Time         `json:"at"`    // when it said so
	Sessions     int64             `json:"sessions"`
	Open         int64             `json:"open"` // connections, let in or not
	ConnectsRate float64           `json:"connects_per_second"`
	SentRate     float64           `json:"sent_per_second"`
	AckedRate    float64           `json:"acknowledged_per_second"`
	Delivered    uint64            `json:"sent"`
	Acked        uint64            `json:"acknowledged"`
	Unacked      uint64            `json:"unacknowledged"`             // of what was written in the last minute
	OldestUnack  float64           `json:"oldest_unacknowledged_secs"` // about how long the oldest of it waits
	Full         uint64            `json:"refused_slow"`               // messages that a slow reader had no room for
	SlowRate     float64           `json:"refused_slow_per_second"`
	Closed       map[string]uint64 `json:"closed"` // connections ended, by cause
	Draining     bool              `json:"draining"`
}

// DeviceState is what is known of a device beyond its registration.
type DeviceState struct {
	Online bool `json:"online"`
	// LastSeen is the newest sign of life: a receipt of the device or its app,
	// or its registration.
	LastSeen time.Time      `json:"last_seen"`
	Roads    []DeviceRoad   `json:"roads"`  // what came of its attempts in the last 30 days, by provider
	Ranked   []PlannedStep  `json:"ranked"` // in which order its roads would be tried now, and why
	Inbox    []InboxLetter  `json:"inbox"`  // what waits for its live connection
	Recent   []DeviceRecent `json:"recent"` // the newest deliveries of the last 7 days
}

// DeviceRoad is the evidence about one road of a device.
type DeviceRoad struct {
	Provider  string    `json:"provider" ch:"provider"`
	Attempts  uint64    `json:"attempts" ch:"attempts"`
	Delivered uint64    `json:"delivered" ch:"delivered"`
	Failed    uint64    `json:"failed" ch:"failed"`
	P50Ms     float64   `json:"p50_ms" ch:"p50"`
	LastTried time.Time `json:"last_tried" ch:"tried_at"`
	LastProof time.Time `json:"last_proof,omitzero" ch:"proof_at"`
	LastError string    `json:"last_error,omitempty" ch:"last_error"`
}

// DeviceRecent is one delivery to a device.
type DeviceRecent struct {
	Notification string    `json:"notification" ch:"notification"`
	Class        string    `json:"class" ch:"class"`
	Stage        string    `json:"stage" ch:"stage"`
	Provider     string    `json:"provider" ch:"provider"`
	AcceptedAt   time.Time `json:"accepted_at" ch:"accepted"`
}

// InboxLetter is one message that waits for a device. What it says is the
// recipient's alone and is not shown.
type InboxLetter struct {
	Delivery  string    `json:"delivery"`
	Bytes     int       `json:"bytes"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}
