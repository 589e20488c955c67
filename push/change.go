package push

import (
	"encoding/json"
	"time"
)

// AllApps stands for every app where a member's app is named.
const AllApps = "*"

// Member is a person with a role in an app.
type Member struct {
	App       string    `json:"app"`   // [AllApps] for all
	Email     string    `json:"email"` // lower case
	Role      string    `json:"role"`  // viewer, analyst, operator or admin
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// MemberRoles lists the roles, each of which may all that those before it may.
var MemberRoles = [...]string{"viewer", "analyst", "operator", "admin"}

// Change is one line of the audit: what somebody changed, or tried to.
type Change struct {
	ID     string          `json:"id"` // sorts by time
	App    string          `json:"app"`
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`    // as people know them: an address, or "key" and its id
	Via    string          `json:"via"`    // key, person, link or command
	From   string          `json:"from"`   // the address they came from; "" where there is none
	Action string          `json:"action"` // such as "lane.put"
	Target string          `json:"target"` // such as "/v1/lanes/apns"
	Status int             `json:"status"` // of the answer; 0 while nobody knows how it ended
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"` // both without secrets
}

// ChangeQuery narrows the audit of an app. Empty fields narrow nothing.
type ChangeQuery struct {
	Who, Action, Target string // a part of each
	Since, Until        time.Time
	Before              string // an id: only earlier changes
	Limit               int
}
