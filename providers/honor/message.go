package honor

import (
	"encoding/json"
	"fmt"
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

// Words of the API.
const (
	importanceLow, importanceNormal = "LOW", "NORMAL"
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
	Title       string        `json:"title"`
	Body        string        `json:"body"`
	Importance  string        `json:"importance"`
	Tag         string        `json:"tag"`
	NotifyID    int32         `json:"notifyId"`
	ClickAction providers.Tap `json:"clickAction"`
	Image       string        `json:"image,omitempty"`
	Badge       *badge        `json:"badge,omitempty"`
}

type badge struct {
	Add   *int   `json:"addNum,omitempty"`
	Set   *int   `json:"setNum,omitempty"`
	Class string `json:"badgeClass"`
}

// request says the delivery in Honor's words. tag and notifyId replace on the
// screen; biTag comes back in Honor's receipts.
func (c *config) request(ds []*push.Delivery, tokens []string, o *options) request {
	d, id := ds[0], push.CommonID(ds)
	r := request{
		Data:    providers.AppDataText(d, id),
		Android: android{TTL: providers.Lasting(providers.Sooner(d.ExpiresAt, o.TTL), maxTTL), BiTag: c.tag(d.App, id)},
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
		Tag: d.Replace(), NotifyID: providers.NotifyID(d.Replace()), ClickAction: providers.AppTap(c.ClickIntent),
	}
	if d.Class == push.Marketing || d.Silent {
		n.Importance = importanceLow
	}
	return n
}

// encode makes the request's body and weighs it. Its error is what is wrong
// with a message that can never be sent.
func (c *config) encode(ds []*push.Delivery, tokens []string) (body []byte, w push.Payload, err error) {
	d := ds[0]
	w.Limit = maxPayload
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return nil, w, err
	}
	if !o.DataOnly && (d.Title == "") != (d.Body == "") {
		return nil, w, rejected("Honor shows nothing without both a title and a body")
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
