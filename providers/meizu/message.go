package meizu

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// The limits of github.com/MEIZUPUSH/PushAPI. It says characters of title and
// text, whatever their alphabet; that of the parameters is not told, and is
// taken for that of what the app gets unseen.
const (
	maxTitle  = 32
	maxText   = 100
	maxUnseen = 2000 // characters
	maxTarget = 1000 // bytes
	maxTTL    = 72 * time.Hour
)

// message is what goes out, and where.
type message struct {
	path string
	text string // the parameter messageJson
}

// shown is a message that the system shows.
type shown struct {
	Bar    bar     `json:"noticeBarInfo"`
	Expand *expand `json:"noticeExpandInfo,omitempty"`
	Click  click   `json:"clickTypeInfo"`
	Time   kept    `json:"pushTimeInfo"`
	More   more    `json:"advanceInfo"`
	Extra  *extra  `json:"extra,omitempty"`
}

type bar struct {
	Type  int    `json:"noticeBarType"`
	Title string `json:"title"`
	Text  string `json:"content"`
}

type expand struct {
	Type int    `json:"noticeExpandType"` // 1 is text
	Text string `json:"noticeExpandContent"`
}

type click struct {
	Type       int               `json:"clickType"`
	URL        string            `json:"url,omitempty"`
	Activity   string            `json:"activity,omitempty"`
	Parameters map[string]string `json:"parameters"`
}

// kept is how long the service keeps it for a device that is away.
type kept struct {
	Offline int `json:"offLine"`
	Hours   int `json:"validTime,omitempty"` // 1 to 72
}

type more struct {
	Float     int    `json:"suspend"`
	Clearable int    `json:"clearNoticeBar"`
	Notify    notify `json:"notificationType"`
	Key       string `json:"notifyKey"`
}

type notify struct {
	Vibrate int `json:"vibrate"`
	Lights  int `json:"lights"`
	Sound   int `json:"sound"`
}

// extra asks for receipts.
type extra struct {
	Callback string `json:"callback"`
	Param    string `json:"callback.param"`
	Type     int    `json:"callback.type"`
}

// unseen is a message that the app gets and nobody sees.
type unseen struct {
	Title   string `json:"title,omitempty"`
	Content string `json:"content"`
	Time    kept   `json:"pushTimeInfo"`
}

// Weigh implements [providers.Provider]. The size is in bytes of the message.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := p.message([]*push.Delivery{d})
	return w, err
}

// message says the deliveries of a chunk in the service's words.
func (p *Provider) message(ds []*push.Delivery) (message, push.Payload, error) {
	d := ds[0]
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return message{}, push.Payload{}, err
	}
	data := providers.AppData(d, push.CommonID(ds))
	params := encode(data)
	m := message{path: shownPath}
	if o.DataOnly {
		m.path = unseenPath
		m.text = encode(unseen{Content: params, Time: keptUntil(providers.Sooner(d.ExpiresAt, o.TTL))})
	} else {
		m.text = encode(p.shown(ds, &o, data))
	}
	w := push.Payload{Bytes: len(m.text)}
	switch title, text := utf8.RuneCountInString(d.Title), utf8.RuneCountInString(d.Body); {
	case utf8.RuneCountInString(params) > maxUnseen:
		err = rejected(fmt.Sprintf("the data has %d characters; the service takes %d", utf8.RuneCountInString(params), maxUnseen))
	case o.DataOnly:
	case strings.TrimSpace(d.Title) == "" || strings.TrimSpace(d.Body) == "":
		err = rejected("the service takes no message without title and body")
	case title > maxTitle:
		err = rejected(fmt.Sprintf("the title has %d characters; the service takes %d", title, maxTitle))
	case text > maxText:
		err = rejected(fmt.Sprintf("the body has %d characters; the service takes %d", text, maxText))
	}
	return m, w, err
}

func rejected(detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: "1005", Detail: detail}
}

// encode writes what holds nothing but strings and numbers.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}" // such always encodes
	}
	return string(text)
}

func (p *Provider) shown(ds []*push.Delivery, o *options, data map[string]string) shown {
	d := ds[0]
	loud := bit(!d.Silent)
	m := shown{
		Bar:   bar{Title: d.Title, Text: d.Body},
		Click: click{Parameters: data},
		Time:  keptUntil(providers.Sooner(d.ExpiresAt, o.TTL)),
		More: more{
			Float: loud & asked(o.Float), Clearable: 1, Key: notifyKey(d.Replace()),
			Notify: notify{Vibrate: loud & asked(o.Vibrate), Lights: 1, Sound: loud & asked(o.Sound)},
		},
	}
	if o.Expanded != "" {
		m.Expand = &expand{Type: 1, Text: o.Expanded}
	}
	if c := o.Click; c != nil {
		switch c.Open {
		case providers.ClickActivity:
			m.Click.Type, m.Click.Activity = 1, c.Target
		case providers.ClickURL:
			m.Click.Type, m.Click.URL = 2, c.Target
		}
	}
	if address, param := p.mark().For(d.App, push.CommonID(ds)); address != "" {
		m.Extra = &extra{Callback: address, Param: param, Type: typeDelivered | typeClicked}
	}
	return m
}

// keptUntil is how long the service may keep a message. It counts in whole
// hours, so what ends within the hour goes to devices that are online now, or
// else another road.
func keptUntil(end time.Time) kept {
	if end.IsZero() {
		return kept{Offline: 1, Hours: int(maxTTL.Hours())}
	}
	hours := int(time.Until(end).Round(time.Minute).Hours()) // what was an hour a moment ago is one
	if hours < 1 {
		return kept{}
	}
	return kept{Offline: 1, Hours: min(hours, int(maxTTL.Hours()))}
}

// notifyKey makes a key, as of [push.Delivery.Replace], the service's: eight
// characters, under which a phone shows the last message alone.
func notifyKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// asked is what a caller asked for, and 1 without a word.
func asked(b *bool) int { return bit(b == nil || *b) }
