package api

import (
	"context"
	"net/http"
	"time"

	"github.com/herald-push/herald/push"
)

// Queue takes notifications and knows what became of them.
type Queue interface {
	// Enqueue returns once n is durable. The same id with the same hash answers
	// the first call's progress and queues nothing; with another hash it is
	// [push.ErrConflict]. [push.ErrAway] means n was not taken.
	Enqueue(ctx context.Context, n *push.Notification, bodyHash [32]byte) (push.Progress, error)
	// Cancel takes back what has not been sent; [push.ErrNotFound].
	Cancel(ctx context.Context, app, id string) (push.Progress, error)
	// Pause begins nothing more until Resume; [push.ErrNotFound].
	Pause(ctx context.Context, app, id string) (push.Progress, error)
	Resume(ctx context.Context, app, id string) (push.Progress, error)
	// Progress answers state and counts; [push.ErrNotFound].
	Progress(ctx context.Context, app, id string) (push.Progress, error)
	// Receive takes evidence: one error for each receipt, nil where it counted.
	// [push.ErrNotFound] is a delivery that is not this device's.
	Receive(ctx context.Context, rs []push.Receipt) []error
	// Plan says what would happen to n, and sends nothing.
	Plan(ctx context.Context, n *push.Notification) (push.Plan, error)
}

// Devices keeps the devices of all apps. What is not there is [push.ErrNotFound].
type Devices interface {
	// PutDevice writes d whole. An address that another device of the app has
	// moves to d. It fills CreatedAt and UpdatedAt.
	PutDevice(ctx context.Context, d *push.Device) error
	Device(ctx context.Context, app, id string) (*push.Device, error)
	DeleteDevice(ctx context.Context, app, id string) error
}

// Users keeps what people have said about being reached. What is not there is
// [push.ErrNotFound].
type Users interface {
	// PutUser writes u whole and fills UpdatedAt.
	PutUser(ctx context.Context, u *push.User) error
	User(ctx context.Context, app, id string) (push.User, error)
	DeleteUser(ctx context.Context, app, id string) error
}

// Schedules keeps what is sent again and again. What is not there is
// [push.ErrNotFound].
type Schedules interface {
	// PutSchedule writes sc whole and fills its times, but for NextAt.
	PutSchedule(ctx context.Context, sc *push.Schedule) error
	Schedule(ctx context.Context, app, id string) (*push.Schedule, error)
	// Schedules are ordered by id, beginning behind after.
	Schedules(ctx context.Context, app, after string, limit int) ([]*push.Schedule, error)
	DeleteSchedule(ctx context.Context, app, id string) error
}

// Templates keeps the apps' templates, which are checked before. What is not
// there is [push.ErrNotFound].
type Templates interface {
	// PutTemplate writes t whole and fills its version and times.
	PutTemplate(ctx context.Context, t *push.Template) error
	Template(ctx context.Context, app, id string) (*push.Template, error)
	// Templates are ordered by id, beginning behind after.
	Templates(ctx context.Context, app, after string, limit int) ([]*push.Template, error)
	DeleteTemplate(ctx context.Context, app, id string) error
}

// Firings are the next n times of a cron line by the clock in a time zone. Its
// error tells the caller in words what is wrong with the line.
type Firings func(line, timezone string, after time.Time, n int) ([]time.Time, error)

// Apps keeps the apps. What is not there is [push.ErrNotFound].
type Apps interface {
	App(ctx context.Context, id string) (push.App, error)
	PutApp(ctx context.Context, app push.App) error
}

// Keys keeps the API keys, hashed. What is not there is [push.ErrNotFound].
type Keys interface {
	PutKey(ctx context.Context, k Key) error
	Key(ctx context.Context, id string) (Key, error)
	Keys(ctx context.Context, app string) ([]Key, error) // oldest first
	DeleteKey(ctx context.Context, app, id string) error
}

// Credentials keeps what the apps' providers need to know, sealed. What is not
// there is [push.ErrNotFound]. Nothing reads the secrets back through the API.
type Credentials interface {
	PutCredentials(ctx context.Context, app, provider string, secret []byte) (CredentialsInfo, error)
	CredentialsInfo(ctx context.Context, app, provider string) (CredentialsInfo, error)
	DeleteCredentials(ctx context.Context, app, provider string) error
	// RollBackCredentials puts those before the present ones in force again.
	RollBackCredentials(ctx context.Context, app, provider string) (CredentialsInfo, error)
}

// CredentialsInfo is all that is ever shown of an app's credentials.
type CredentialsInfo struct {
	Provider  string    `json:"provider"`
	Version   int       `json:"version"` // counts the writes, from 1
	UpdatedAt time.Time `json:"updated_at"`
	// RetractedWhy is why Herald itself put them in force again in place of newer
	// ones; "" if somebody gave them.
	RetractedWhy string `json:"retracted_why,omitempty"`
}

// Lanes knows how the apps fare with their providers.
type Lanes interface {
	// Lanes lists them by provider; those that no worker has used are not there.
	Lanes(ctx context.Context, app string) ([]push.Lane, error)
	// SwitchLane keeps a lane off for a reason, or with "" no longer.
	SwitchLane(ctx context.Context, app, provider, reason string) error
}

// Deliveries tells the story of each delivery of a notification, in pages
// ordered by an opaque cursor: next is "" on the last one. With a device there
// is at most one trace.
type Deliveries interface {
	Trace(ctx context.Context, app, notification, device, after string, limit int) (traces []push.Trace, next string, err error)
}

// Tokens makes and checks the tokens that devices log in with.
type Tokens interface {
	Mint(ctx context.Context, app, device string) (token string, expires time.Time, err error)
	// Verify's error is [push.ErrAway] when the token could not be checked;
	// any other means that it does not hold.
	Verify(ctx context.Context, token string) (app, device string, err error)
}

// Callback reads a vendor's report about messages it was given. It checks the
// vendor's signature over r and body, which is the whole request body, and
// answers [push.ErrCredentials] if that does not hold and a [push.Invalid] for
// a report it cannot read. Receipts carry their app. Answer is JSON that the
// vendor wants to hear once they are kept; nil is a 204.
type Callback func(ctx context.Context, r *http.Request, body []byte) (rs []push.Receipt, answer []byte, err error)

// CheckCredentials tells what is wrong with an app's credentials for a
// provider, as a [push.Invalid] that never repeats a secret.
type CheckCredentials func(credentials []byte) error

// CheckOverrides tells what is wrong with what a notification says to one
// provider alone, as a [push.Invalid] whose fields are paths inside of it.
type CheckOverrides func(raw []byte) error

// Unseen tells whether what a notification says to one provider alone makes it
// show nothing there.
type Unseen func(raw []byte) bool

// Canary asks a provider's service whether it takes credentials, and returns in
// words what the answer proves; "" if the service cannot be asked. An error of
// kind [push.ErrCredentials] means that it refuses them.
type Canary func(ctx context.Context, provider string, credentials []byte) (said string, err error)

// Check tells whether something Herald needs is there. Its error is shown to
// whoever asks GET /readyz.
type Check func(ctx context.Context) error
