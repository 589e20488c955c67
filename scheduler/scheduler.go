// Package scheduler decides when a notification travels, and when it travels
// again: the durable queue, expansion of audiences, attempts, retries, fallback
// to the next road where no proof comes, expiry and cancellation.
//
// A [Door] takes notifications and evidence in; a [Worker] carries deliveries.
// A process may have one of them or both ([Scheduler]). They meet in Redis only.
package scheduler

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

// Devices knows who can be reached.
type Devices interface {
	// Devices returns the devices in the order of ids, nil for the unknown.
	Devices(ctx context.Context, app string, ids []string) ([]*push.Device, error)
	// Page returns up to limit ids of an audience that come after one, in a
	// fixed order; fewer than limit means that the audience ends there.
	Page(ctx context.Context, app string, to push.Audience, after string, limit int) ([]string, error)
	// Count is how many devices an audience has at the moment.
	Count(ctx context.Context, app string, to push.Audience) (int, error)
	// Forget removes an address that its provider said is dead.
	Forget(ctx context.Context, app, device string, a push.Address) error
	// Owners returns the devices that have addresses at a provider, in the order
	// of their tokens; "" where there is none.
	Owners(ctx context.Context, app, provider string, tokens []string) ([]string, error)
}

// Apps knows what each app allows.
type Apps interface {
	App(ctx context.Context, id string) (push.App, error)
}

// Picker orders the roads to a device, best first, each with its reason.
type Picker interface {
	Rank(q *push.Question) []push.Choice
}

// Sender makes one attempt, or tells what it would weigh. Its failures are a
// *[push.Error].
type Sender interface {
	Send(ctx context.Context, app, provider string, d *push.Delivery) (push.Answer, error)
	// Batch tells how many devices of a notification its provider takes in one
	// request now; 1 is one at a time.
	Batch(ctx context.Context, n *push.Notification, provider string) int
	// SendBatch makes one attempt for so many deliveries of one chunk. It
	// returns a reply to each, in their order.
	SendBatch(ctx context.Context, app, provider string, ds []*push.Delivery) []push.Reply
	// Deduplicates tells whether a message that goes out twice through a provider
	// is seen once.
	Deduplicates(ctx context.Context, app, provider string) bool
	Weigh(ctx context.Context, app, provider string, d *push.Delivery) (push.Payload, error)
}

// Recorder writes receipts down; they are on disk when Record returns.
type Recorder interface {
	Record(ctx context.Context, rs ...push.Receipt) error
}

// Presence knows which devices are connected now.
type Presence interface {
	Online(ctx context.Context, app string, devices []string) ([]bool, error)
}

// Parts are what a [Door] and a [Worker] are made with. All are needed but for those that say
// otherwise.
type Parts struct {
	Redis    redis.UniversalClient
	Devices  Devices
	Apps     Apps
	Picker   Picker
	Sender   Sender
	Recorder Recorder
	Presence Presence
	// Letter writes a delivery as devices of the live connection read it: JSON
	// with a "sent_at" by which letters can be ordered.
	Letter  func(n *push.Notification, delivery string, sentAt time.Time) ([]byte, error)
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Limits tells what an app's provider documents; nil where nobody does.
	Limits func(ctx context.Context, app, provider string) push.Limits
	// Deaths hears of addresses that providers say are dead, and of what became
	// of them; nil where nobody wants to know. It may not keep the slice.
	Deaths func(ctx context.Context, ds []push.Death)
	// Users may be nil: then nobody has quiet hours of their own.
	Users Users
	// Schedules may be nil: then nothing is sent again and again.
	Schedules Schedules
	// Wording fills in a notification's content from its template; nil where
	// there are no templates.
	Wording func(ctx context.Context, n *push.Notification) error
}

// Scheduler is a [Door] and a [Worker] in one process.
type Scheduler struct {
	*Door
	*Worker
}

// New makes both halves.
func New(cfg Config, parts Parts) *Scheduler {
	return &Scheduler{NewDoor(cfg, parts), NewWorker(cfg, parts)}
}

// The queues, one for each urgency. Each has an asynq server of its own, so
// that an otp never waits for a slot that a campaign holds.
var queues = [...]string{"critical", "default", "bulk"}
