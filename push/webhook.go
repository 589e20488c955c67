package push

import (
	"encoding/json"
	"time"
)

// The types of events that webhooks tell of. An app subscribes to some of them,
// or to all with "*".
const (
	EventDelivered        = "delivery.delivered"
	EventDisplayed        = "delivery.displayed"
	EventClicked          = "delivery.clicked"
	EventFailed           = "delivery.failed"
	EventUnknown          = "delivery.unknown"
	EventExpired          = "delivery.expired"
	EventCancelled        = "delivery.cancelled"
	EventSuppressed       = "delivery.suppressed"
	EventAttemptFailed    = "attempt.failed"
	EventAddressDead      = "address.dead"
	EventQuotaNear        = "quota.near"
	EventLaneChanged      = "lane.changed"
	EventCampaignFinished = "campaign.finished"
	EventChatBeforeSend   = "chat.before_send" // asked, not told: the answer decides
	EventChatAfterSend    = "chat.after_send"
	EventTest             = "test" // goes to every endpoint that is tested
	EventBatch            = "batch"
)

// EventTypes lists the types that an endpoint may subscribe to.
func EventTypes() []string {
	return []string{
		EventDelivered, EventDisplayed, EventClicked, EventFailed, EventUnknown, EventExpired, EventCancelled, EventSuppressed,
		EventAttemptFailed, EventAddressDead, EventQuotaNear, EventLaneChanged, EventCampaignFinished,
		EventChatBeforeSend, EventChatAfterSend,
	}
}

// Event is something that happened to an app's messages and that its webhooks
// are told of.
type Event struct {
	// ID is the same whenever the same happening is told again: receivers drop
	// repeats by it.
	ID   string    `json:"id"`
	App  string    `json:"-"`
	Type string    `json:"type"`
	At   time.Time `json:"timestamp"`
	Data any       `json:"data"`
}

// Webhook is an endpoint of an app that is told of events.
type Webhook struct {
	App         string   `json:"-"`
	ID          string   `json:"id"`
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events"` // types; "*" is all but [EventChatBeforeSend]
	// Batch is how many events one call may carry; 1 is each alone.
	Batch   int  `json:"batch"`
	Enabled bool `json:"enabled"`
	// DisabledWhy is why it is not enabled: an operator's words or Herald's.
	DisabledWhy string `json:"disabled_why,omitempty"`
	// FailingSince is when the first of the failures came that have had no
	// success between them; zero while it does well.
	FailingSince time.Time `json:"failing_since,omitzero"`
	// OldSecretUntil is until when calls are signed with the secret before too.
	OldSecretUntil time.Time `json:"old_secret_until,omitzero"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// Takes tells whether the endpoint has subscribed to a type. To be asked, it must
// name what it wants to be asked about.
func (w *Webhook) Takes(event string) bool {
	for _, e := range w.Events {
		if e == event || e == "*" && event != EventChatBeforeSend {
			return true
		}
	}
	return false
}

// WebhookState says how far an event has come on its way to an endpoint.
type WebhookState string

// The states of an event on its way.
const (
	WebhookPending   WebhookState = "pending"
	WebhookDelivered WebhookState = "delivered"
	WebhookDead      WebhookState = "dead" // given up; it can be replayed
)

// WebhookDelivery is one event on its way to one endpoint.
type WebhookDelivery struct {
	Event     string          `json:"event"` // its id
	Type      string          `json:"type"`
	State     WebhookState    `json:"state"`
	CreatedAt time.Time       `json:"created_at"`
	Tries     int             `json:"tries"`
	LastAt    time.Time       `json:"last_at,omitzero"`
	NextAt    time.Time       `json:"next_at,omitzero"` // of a pending one
	Status    int             `json:"status,omitempty"` // HTTP status of the last try; 0 if none came
	Error     string          `json:"error,omitempty"`  // why the last try failed
	TookMs    int64           `json:"took_ms,omitempty"`
	Body      json.RawMessage `json:"body"` // as it is sent
}

// WebhookQuery selects deliveries of an endpoint; the zero value selects all.
type WebhookQuery struct {
	State WebhookState // "" for any
	Type  string       // "" for any
	From  time.Time    // created at or after it
	Until time.Time    // created before it; zero for no end
	Event string       // its id; "" for any
	After string       // cursor: next of the page before
	Limit int
}

// WebhookTry is what came of one call.
type WebhookTry struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	TookMs int64  `json:"took_ms"`
}
