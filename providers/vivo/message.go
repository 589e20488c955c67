package vivo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// The service's limits, of its document on the single send.
const (
	maxTitle   = 40   // in half widths: a Han character is two
	maxText    = 100  // likewise
	maxPairs   = 10   // of data
	maxData    = 1024 // characters of keys and values
	maxRequest = 64   // characters of a request's id
	minTTL     = time.Minute
	maxTTL     = 24 * time.Hour
)

// The two kinds of message. Operations messages are few a day, and have hours.
const (
	operations = 0
	system     = 1
)

// message is the body of a request.
type message struct {
	AppID          string            `json:"appId"`
	RegID          string            `json:"regId,omitempty"` // none in a list's
	NotifyType     int               `json:"notifyType"`
	Title          string            `json:"title"`
	Content        string            `json:"content"`
	TTL            int               `json:"timeToLive,omitempty"` // seconds
	SkipType       int               `json:"skipType"`
	SkipContent    string            `json:"skipContent,omitempty"`
	Foreground     *bool             `json:"foregroundShow,omitempty"`
	AddBadge       bool              `json:"addBadge,omitempty"`
	PushMode       int               `json:"pushMode,omitempty"` // 1: a test
	NetworkType    int               `json:"networkType"`
	Classification int               `json:"classification"`
	Category       string            `json:"category,omitempty"`
	Data           map[string]string `json:"clientCustomMap"`
	Extra          map[string]string `json:"extra,omitempty"`
	RequestID      string            `json:"requestId"`
	NotifyID       int32             `json:"notifyId"` // a newer one with the same replaces
}

// Weigh implements [providers.Provider]. The size is in bytes of title, text and
// data; the service has no limit of their sum.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := weigh(d, d.ID)
	return w, err
}

// weigh returns the data with the size of all.
func weigh(d *push.Delivery, id string) (data map[string]string, w push.Payload, err error) {
	data = providers.AppData(d, id)
	n := 0
	for key, value := range data {
		n += len(key) + len(value)
	}
	w = push.Payload{Bytes: len(d.Title) + len(d.Body) + n + len(d.Overrides[name])}
	if _, err := overrides.Of(d.Notification); err != nil {
		return data, w, err
	}
	switch title, text := width(d.Title), width(d.Body); {
	case strings.TrimSpace(d.Title) == "" || strings.TrimSpace(d.Body) == "":
		err = rejected("the service takes no message without title and body")
	case title > maxTitle:
		err = rejected(fmt.Sprintf("the title is %d characters wide; the service takes %d", title, maxTitle))
	case text > maxText:
		err = rejected(fmt.Sprintf("the body is %d characters wide; the service takes %d", text, maxText))
	case len(data) > maxPairs:
		err = rejected(fmt.Sprintf("the data has %d keys with Herald's two; the service takes %d", len(data), maxPairs))
	case n > maxData:
		err = rejected(fmt.Sprintf("the data has %d bytes; the service takes %d", n, maxData))
	}
	return data, w, err
}

func rejected(detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Detail: detail}
}

// width counts as the service does: what East Asian scripts write takes two.
func width(text string) int {
	n := 0
	for _, r := range text {
		n++
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) ||
			r >= 0x3000 && r < 0x3040 || r >= 0xff01 && r <= 0xff60 {
			n++
		}
	}
	return n
}

// message says deliveries in the service's words, with the size of what it says.
func (p *Provider) message(ds []*push.Delivery) (m message, w push.Payload, err error) {
	d, id := ds[0], push.CommonID(ds)
	data, w, err := weigh(d, id)
	if err != nil {
		return m, w, err
	}
	m = message{
		AppID: p.config.ID, Title: d.Title, Content: d.Body, Data: data,
		NotifyType:     4,  // sound and vibration
		SkipType:       1,  // a click opens the app
		NetworkType:    -1, // any
		Classification: classOf(d), Category: p.config.category(d.Class),
		RequestID: requestID(id), NotifyID: providers.NotifyID(d.Replace()),
	}
	if d.Silent {
		m.NotifyType = 1
	}
	o, _ := overrides.Of(d.Notification) // weigh has read them
	o.say(&m, d.Silent)
	if end := providers.Sooner(d.ExpiresAt, o.TTL); !end.IsZero() {
		m.TTL = int(min(max(time.Until(end), minTTL), maxTTL).Seconds())
	}
	if address, param := p.mark().For(d.App, id); address != "" && len(ds) == 1 {
		m.Extra = map[string]string{"callback": address, "callback.param": param}
	}
	return m, w, nil
}

func classOf(d *push.Delivery) int {
	if d.Class == push.Marketing {
		return operations
	}
	return system
}

// requestID is the delivery's id, or what stands for a longer one.
func requestID(id string) string {
	if len(id) <= maxRequest {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
