package push

// Plan is what would come of a notification if it were sent now: nothing of it
// is a promise, for devices come, go and lose their connection.
type Plan struct {
	// Devices is the size of the audience.
	Devices int `json:"devices"`
	// Roads counts the devices by the road that would be tried first, the most
	// used road first. Devices that no road reaches stand under "".
	Roads []PlannedRoad `json:"roads"`
	// Payloads has a row per provider that some device would be sent through.
	Payloads []PlannedPayload `json:"payloads"`
	// Sample shows the whole journey for a few devices of the audience.
	Sample []PlannedDelivery `json:"sample"`
}

// PlannedRoad is how many devices begin with a provider.
type PlannedRoad struct {
	Provider string `json:"provider"`
	Devices  int    `json:"devices"`
}

// PlannedPayload is what the notification weighs with one provider.
type PlannedPayload struct {
	Provider string `json:"provider"`
	Bytes    int    `json:"bytes"`
	Limit    int    `json:"limit,omitempty"` // 0 if the provider has none
	// Segments is how many short messages the text takes, CostMicros what they
	// cost a device, in millionths of the app's currency.
	Segments   int   `json:"segments,omitempty"`
	CostMicros int64 `json:"cost_micros,omitempty"`
	// Shortened are the fields that would be cut to fit: body, title.
	Shortened []string `json:"shortened,omitempty"`
	// Fault is why the provider would never take it; empty if it would.
	Fault string `json:"fault,omitempty"`
}

// PlannedDelivery is one device with the roads to it, in the order of trial.
type PlannedDelivery struct {
	Device string        `json:"device"`
	Roads  []PlannedStep `json:"roads"`
	// Decision is how the first road would be chosen, in numbers; nil where there
	// is nothing to decide.
	Decision *Decision `json:"decision,omitempty"`
}

// PlannedStep is one road with the reason it stands where it does. A road that
// would be passed over says so in Skipped.
type PlannedStep struct {
	Provider string `json:"provider"`
	Why      string `json:"why"`
	Skipped  string `json:"skipped,omitempty"`
}
