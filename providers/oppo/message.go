package oppo

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// The limits of open.oppomobile.com/new/developmentDoc/info?id=11236 are these.
const (
	maxTitle = 50   // characters, whatever their alphabet
	maxShort = 50   // characters of a text in the plain style
	maxText  = 128  // characters of one in the style for long texts
	maxData  = 4000 // characters of the action's parameters
	maxTTL   = 10 * 24 * time.Hour
)

// The styles of a notification.
const (
	stylePlain = 1
	styleLong  = 2 // its first line only, unless it is the first in the bar
)

// message is the JSON of the field of that name.
type message struct {
	TargetType   int          `json:"target_type"`
	TargetValue  string       `json:"target_value"`
	Verify       bool         `json:"verify_registration_id"`
	Notification notification `json:"notification"`
}

type notification struct {
	AppMessageID  string `json:"app_message_id"` // a second one with the same is not sent
	Style         int    `json:"style"`
	Title         string `json:"title"`
	Content       string `json:"content"`
	ClickAction   int    `json:"click_action_type"`
	ClickActivity string `json:"click_action_activity,omitempty"`
	ClickURL      string `json:"click_action_url,omitempty"`
	Parameters    string `json:"action_parameters"`
	OffLine       bool   `json:"off_line"`
	OffLineTTL    int    `json:"off_line_ttl,omitempty"` // seconds
	NotifyID      int32  `json:"notify_id"`              // a newer one with the same replaces
	ChannelID     string `json:"channel_id,omitempty"`
	Category      string `json:"category,omitempty"`
	NotifyLevel   int    `json:"notify_level,omitempty"`
	CallbackURL   string `json:"call_back_url,omitempty"`
	CallbackParam string `json:"call_back_parameter,omitempty"`
}

// Weigh implements [providers.Provider]. The size is in bytes of title, text and
// data; the service has no limit of their sum.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := weigh(d)
	return w, err
}

// weigh returns the data with the size of all.
func weigh(d *push.Delivery) (data string, w push.Payload, err error) {
	data = providers.AppDataText(d, d.ID)
	w = push.Payload{Bytes: len(d.Title) + len(d.Body) + len(data) + len(d.Overrides[name])}
	if _, err := overrides.Of(d.Notification); err != nil {
		return data, w, err
	}
	switch title, text := utf8.RuneCountInString(d.Title), utf8.RuneCountInString(d.Body); {
	case strings.TrimSpace(d.Title) == "" || strings.TrimSpace(d.Body) == "":
		err = rejected("40", "the service takes no message without title and body")
	case title > maxTitle:
		err = rejected("41", fmt.Sprintf("the title has %d characters; the service takes %d", title, maxTitle))
	case text > maxText:
		err = rejected("41", fmt.Sprintf("the body has %d characters; the service takes %d", text, maxText))
	case utf8.RuneCountInString(data) > maxData:
		err = rejected("41", fmt.Sprintf("the data has more than the %d characters that the service takes", maxData))
	}
	return data, w, err
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

// message says the delivery in the service's words.
func (p *Provider) message(d *push.Delivery, data string) message {
	o, _ := overrides.Of(d.Notification) // weigh has read them
	n := notification{
		AppMessageID: d.ID, Style: stylePlain, Title: d.Title, Content: d.Body,
		Parameters: data, OffLine: true, NotifyID: providers.NotifyID(d.Replace()),
		ChannelID: p.config.Channels[d.Class], Category: p.config.Categories[d.Class],
	}
	if utf8.RuneCountInString(d.Body) > maxShort {
		n.Style = styleLong
	}
	o.say(&n, d.Silent)
	if end := providers.Sooner(d.ExpiresAt, o.TTL); !end.IsZero() {
		n.OffLineTTL = int(min(max(time.Until(end), time.Second), maxTTL).Seconds())
	}
	n.CallbackURL, n.CallbackParam = p.mark().For(d.App, d.ID)
	return message{TargetType: 2, TargetValue: d.Address.Token, Verify: true, Notification: n}
}

// form is a request's body: a message or a list of them, as JSON.
func form(field string, messages any, access string) url.Values {
	text, err := json.Marshal(messages)
	if err != nil {
		return nil // strings and numbers always encode
	}
	return url.Values{field: {string(text)}, "auth_token": {access}}
}
