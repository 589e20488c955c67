package huawei

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Limits of
// developer.huawei.com/consumer/cn/doc/HMSCore-References/https-send-api-0000001050986197
const (
	maxPayload = 4096 // bytes of the body without the device's token
	maxTTL     = 15 * 24 * time.Hour
	maxTag     = 64 // bytes of bi_tag
)

// Words of the API.
const (
	urgencyHigh, urgencyNormal      = "HIGH", "NORMAL"
	importanceLow, importanceNormal = "LOW", "NORMAL"
	keepAll                         = -1 // collapse_key: every message waits for a device that is away
)

// request is the body of messages:send.
type request struct {
	ValidateOnly bool    `json:"validate_only"`
	Message      message `json:"message"`
}

type message struct {
	Data    string   `json:"data"` // a JSON object, as text
	Android android  `json:"android"`
	Token   []string `json:"token"`
}

type android struct {
	CollapseKey  int           `json:"collapse_key"`
	Urgency      string        `json:"urgency"`
	Category     string        `json:"category,omitempty"`
	TTL          string        `json:"ttl,omitempty"` // as "86400s"
	BITag        string        `json:"bi_tag,omitempty"`
	ReceiptID    string        `json:"receipt_id,omitempty"`
	Notification *notification `json:"notification,omitempty"` // nil: the message goes to the app unseen

	TargetUserType int `json:"target_user_type,omitempty"` // 1: a test
}

type notification struct {
	Title       string        `json:"title"`
	Body        string        `json:"body"`
	Importance  string        `json:"importance"`
	Tag         string        `json:"tag"`
	NotifyID    int32         `json:"notify_id"`
	ClickAction providers.Tap `json:"click_action"`
	Foreground  bool          `json:"foreground_show"`
	ChannelID   string        `json:"channel_id,omitempty"`
	Sound       string        `json:"sound,omitempty"`
	Image       string        `json:"image,omitempty"`
	Color       string        `json:"color,omitempty"`
	Visibility  string        `json:"visibility,omitempty"`
	Badge       *badge        `json:"badge,omitempty"`
}

type badge struct {
	Add   *int   `json:"add_num,omitempty"`
	Set   *int   `json:"set_num,omitempty"`
	Class string `json:"class"`
}

// message says the delivery in Huawei's words.
//
// The tag and notify_id replace on the screen. collapse_key would replace what
// waits for a device that is away, but it has room for a hundred keys only, and
// two notifications that share one by chance would lose one of them.
//
// bi_tag comes back with the receipt and leads it to the delivery, of several with
// the receipt's token. An id that has no room there costs the receipt and not
// the message.
func (c *config) message(ds []*push.Delivery, tokens []string, urgency string, o *options) message {
	d, id := ds[0], push.CommonID(ds)
	a := android{
		CollapseKey: keepAll,
		Urgency:     urgency,
		Category:    c.category(d.Class),
		TTL:         providers.Lasting(providers.Sooner(d.ExpiresAt, o.TTL), maxTTL),
		ReceiptID:   c.ReceiptID,
	}
	if d.Title != "" {
		a.Notification = c.notification(d)
	}
	o.say(&a)
	if d.Silent && a.Notification != nil { // quiet hours come before what the caller wishes
		a.Notification.Importance, a.Notification.Sound = importanceLow, ""
	}
	if len(id) <= maxTag {
		a.BITag = id
	}
	return message{Data: providers.AppDataText(d, id), Android: a, Token: tokens}
}

// notification is what the device shows.
func (c *config) notification(d *push.Delivery) *notification {
	n := &notification{
		Title: d.Title, Body: d.Body, Importance: importanceNormal,
		Tag: d.Replace(), NotifyID: providers.NotifyID(d.Replace()),
		ClickAction: providers.AppTap(c.ClickIntent), Foreground: true,
	}
	if d.Class == push.Marketing || d.Silent {
		n.Importance = importanceLow
	}
	return n
}

// category is Huawei's for a class. A transactional message has none unless the
// app says which of Huawei's many it is: a wrong one may cost the app its right
// to say.
func (c *config) category(class push.Class) string {
	if category, ok := c.Categories[class]; ok {
		return category
	}
	switch class {
	case push.OTP:
		return "ACCOUNT"
	case push.Chat:
		return "IM"
	case push.Call:
		return "VOIP"
	case push.Marketing:
		return "MARKETING"
	default:
		return ""
	}
}

// urgencyOf wakes a sleeping device for what cannot wait.
func urgencyOf(class push.Class) string {
	if class.Urgency() == "critical" {
		return urgencyHigh
	}
	return urgencyNormal
}

// encode makes the request's body and weighs it as Huawei does. Its error is
// what is wrong with a message that can never be sent.
func (c *config) encode(ds []*push.Delivery, tokens []string, urgency string) (body []byte, w push.Payload, err error) {
	d := ds[0]
	w.Limit = maxPayload
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return nil, w, err
	}
	if !o.DataOnly && (d.Title == "") != (d.Body == "") {
		return nil, w, rejected("80100003", "Huawei shows nothing without both a title and a body")
	}
	body, err = json.Marshal(request{Message: c.message(ds, tokens, urgency, &o)})
	if err != nil {
		return nil, w, rejected("80100003", "the message cannot be written as JSON")
	}
	w.Bytes = len(body)
	if list, err := json.Marshal(tokens); err == nil {
		w.Bytes -= len(list) - len("[]")
	}
	if w.Bytes > maxPayload {
		return nil, w, rejected("80300008", fmt.Sprintf("the message has %d bytes; Huawei takes %d", w.Bytes, maxPayload))
	}
	return body, w, nil
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}
