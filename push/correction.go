package push

import "time"

// Correction is an app's own word on what an answer of a provider's service
// means. It takes the place of what the provider's table of codes says.
type Correction struct {
	App      string `json:"-"`
	Provider string `json:"-"`

	// Status is the HTTP status of the answers that are meant, where no word in
	// them decides; 0 if Code is set.
	Status int `json:"status,omitempty"`
	// Code is the service's own word, whatever the status; "" if Status is set.
	Code string `json:"code,omitempty"`

	Kind              string    `json:"kind"` // a name that [KindName] gives
	RetryAfterSeconds int       `json:"retry_after_seconds,omitempty"`
	Scope             Scope     `json:"scope,omitempty"`
	Means             string    `json:"means,omitempty"` // shown to people in place of the table's words; "" keeps those
	By                string    `json:"by"`              // the id of the key that said so
	At                time.Time `json:"at"`
}
