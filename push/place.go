package push

import (
	"encoding/json"
	"time"
)

// Position is where a device was at a time, as it reports it.
type Position struct {
	App      string    `json:"-"`
	Device   string    `json:"device"`
	Lat      float64   `json:"lat"`
	Lon      float64   `json:"lon"`
	Accuracy float64   `json:"accuracy_m,omitempty"` // metres; 0 is unknown
	At       time.Time `json:"at"`
}

// PlaceMode is how much a device lets Herald know of where it is.
type PlaceMode string

// The modes. Without consent a device's reports are refused.
const (
	PlaceOff    PlaceMode = "off"
	PlaceCoarse PlaceMode = "coarse" // rounded to about a kilometre before it is kept
	PlaceExact  PlaceMode = "exact"
)

// Consent is what a device's person has agreed to.
type Consent struct {
	App    string    `json:"-"`
	Device string    `json:"device"`
	Mode   PlaceMode `json:"mode"`
	// Nearby lets others find the person, at a blurred position.
	Nearby    bool      `json:"nearby"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Circle is all that is no farther from a point than its radius.
type Circle struct {
	Lat    float64 `json:"lat"`
	Lon    float64 `json:"lon"`
	Radius float64 `json:"radius_m"`
}

// Shape is a part of the earth: one of the two.
type Shape struct {
	Circle *Circle `json:"circle,omitempty"`
	// Polygon has its corners in order; its edges are the shortest ways between
	// them, and its inside is the smaller of the two sides.
	Polygon []Location `json:"polygon,omitempty"`
}

// Place is a part of the earth with a name.
type Place struct {
	App  string `json:"-"`
	ID   string `json:"id"` // 1 to 64 bytes of [A-Za-z0-9_-]
	Name string `json:"name"`
	Kind string `json:"kind,omitempty"` // such as "shop"
	Shape
	Data      map[string]string `json:"data,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

// Crossing is what a device does at a fence.
type Crossing string

// The crossings.
const (
	Enter Crossing = "enter"
	Exit  Crossing = "exit"
	Dwell Crossing = "dwell" // it has been inside for so long
)

// Fence sends a notification to a device that crosses it.
type Fence struct {
	App  string `json:"-"`
	ID   string `json:"id"` // 1 to 40 bytes of [A-Za-z0-9_-]
	Name string `json:"name,omitempty"`
	Shape
	On           []Crossing `json:"on"`
	DwellSeconds int        `json:"dwell_seconds,omitempty"`
	// CooldownSeconds is how long after it has sent something to a device the
	// fence leaves that device alone.
	CooldownSeconds int `json:"cooldown_seconds,omitempty"`
	// MaxAccuracy ignores reports that are less exact, in metres; 0 takes all.
	MaxAccuracy float64      `json:"max_accuracy_m,omitempty"`
	Schedule    *OpeningTime `json:"schedule,omitempty"`
	// Request is the notification as its owner wrote it, for showing.
	Request   json.RawMessage `json:"notification"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`

	// Notification is the request after its checks, without id, audience and
	// times.
	Notification *Notification `json:"-"`
	TTLSeconds   int           `json:"-"`
}

// OpeningTime is when a fence is in force. One that closes before it opens is
// open over midnight, and belongs to the day on which it opens.
type OpeningTime struct {
	Days     []string `json:"days,omitempty"` // mon to sun; none is all
	From     string   `json:"from"`           // HH:MM
	To       string   `json:"to"`             // HH:MM, up to 24:00
	Timezone string   `json:"timezone"`       // IANA
}

// MapChange is a fence or a place of an app that was written or removed.
type MapChange struct {
	Revision  int64 // counts the changes of the app's map
	Fence     *Fence
	Place     *Place
	GoneFence string // the id of one that was removed
	GonePlace string
}
