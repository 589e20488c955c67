package honor

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

const (
	// maxPayload is in bytes, of the body without the device's token. It is
	// Huawei's limit, whose API this one is made after: Honor's own is not known.
	maxPayload = 4096
	// maxTTL is how long Honor keeps a message at most.
	maxTTL = 15 * 24 * time.Hour
)

// Keys of data that Herald adds.
const (
	idKey           = "herald_id"
	notificationKey = "herald_notification"
)

// Words of the API.
const (
	importanceLow, importanceNormal = "LOW", "NORMAL"
	openIntent, openURL, openApp    = 1, 2, 3
)

// request is the body of sendMessage.
type request struct {
	Data    string   `json:"data"` // a JSON object, as text
	Android android  `json:"android"`
	Token   []string `json:"token"`
}

type android struct {
	TTL          string        `json:"ttl,omitempty"` // as "86400s"
	BiTag        string        `json:"biTag"`
	Notification *notification `json:"notification,omitempty"` // nil: the message goes to the app unseen

	TargetUserType int `json:"targetUserType,omitempty"` // 1: a test
}

type notification struct {
	Title       string      `json:"title"`
	Body        string      `json:"body"`
	Importance  string      `json:"importance"`
	Tag         string      `json:"tag"`
	NotifyID    int32       `json:"notifyId"`
	ClickAction clickAction `json:"clickAction"`
	Image       string      `json:"image,omitempty"`
	Badge       *badge      `json:"badge,omitempty"`
}

type badge struct {
	Add   *int   `json:"addNum,omitempty"`
	Set   *int   `json:"setNum,omitempty"`
	Class string `json:"badgeClass"`
}

type clickAction struct {
	Type   int    `json:"type"`
	Intent string `json:"intent,omitempty"`
	URL    string `json:"url,omitempty"`
}

// request says the delivery in Honor's words. tag and notifyId replace on the
// screen; biTag comes back in Honor's receipts.
func (c *config) request(ds []*push.Delivery, tokens []string, o *options) request {
	d, id := ds[0], push.CommonID(ds)
	data := make(map[string]string, len(d.Data)+2)
	maps.Copy(data, d.Data)
	data[idKey], data[notificationKey] = id, d.Notification.ID
	text, _ := json.Marshal(data) // strings always encode
	r := request{
		Data:    string(text),
		Android: android{TTL: ttl(providers.Sooner(d.ExpiresAt, o.TTL)), BiTag: c.tag(d.App, id)},
		Token:   tokens,
	}
	if d.Title != "" {
		r.Android.Notification = c.notification(d)
	}
	o.say(&r.Android)
	if d.Silent && r.Android.Notification != nil { // quiet hours come before what the caller wishes
		r.Android.Notification.Importance = importanceLow
	}
	return r
}

// notification is what the device shows. LOW counts against the day's few
// marketing messages of a device, and without an importance all would.
func (c *config) notification(d *push.Delivery) *notification {
	n := &notification{
		Title: d.Title, Body: d.Body, Importance: importanceNormal,
		Tag: d.Replace(), NotifyID: providers.NotifyID(d.Replace()), ClickAction: clickAction{Type: openApp},
	}
	if d.Class == push.Marketing || d.Silent {
		n.Importance = importanceLow
	}
	if c.ClickIntent != "" {
		n.ClickAction = clickAction{Type: openIntent, Intent: c.ClickIntent}
	}
	return n
}

// ttl is how long Honor keeps the message for a device that is away; "" is its
// own default, a day.
func ttl(end time.Time) string {
	if end.IsZero() {
		return ""
	}
	left := min(max(time.Until(end).Round(time.Second), time.Second), maxTTL)
	return strconv.Itoa(int(left/time.Second)) + "s"
}

// encode makes the request's body and weighs it. Its error is what is wrong
// with a message that can never be sent.
func (c *config) encode(ds []*push.Delivery, tokens []string) (body []byte, w push.Payload, err error) {
	d := ds[0]
	w.Limit = maxPayload
	if (d.Title == "") != (d.Body == "") {
		return nil, w, rejected("Honor shows nothing without both a title and a body")
	}
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return nil, w, err
	}
	body, err = json.Marshal(c.request(ds, tokens, &o))
	if err != nil {
		return nil, w, rejected("the message cannot be written as JSON")
	}
	w.Bytes = len(body)
	if list, err := json.Marshal(tokens); err == nil {
		w.Bytes -= len(list) - len("[]")
	}
	if w.Bytes > maxPayload {
		return nil, w, rejected(fmt.Sprintf("the message has %d bytes; %d are sent at most", w.Bytes, maxPayload))
	}
	return body, w, nil
}

func rejected(detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Detail: detail}
}
