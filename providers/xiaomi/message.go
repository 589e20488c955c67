package xiaomi

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// The limits of dev.mi.com/xiaomihyperos/documentation/detail?pId=1559 are these.
const (
	maxTitle   = 49  // characters, whatever their alphabet: "less than 50"
	maxText    = 127 // characters: "less than 128"
	maxPayload = 4096
	maxTTL     = 14 * 24 * time.Hour
)

// Weigh implements [providers.Provider]. The size is in bytes of title, text and
// payload.
func (p *Provider) Weigh(d *push.Delivery) (push.Payload, error) {
	_, w, err := weigh([]*push.Delivery{d})
	return w, err
}

// weigh returns the payload with its size.
func weigh(ds []*push.Delivery) (payload string, w push.Payload, err error) {
	d := ds[0]
	// The service's own field for key and value takes ten pairs only.
	payload = providers.AppDataText(d, push.CommonID(ds))
	w = push.Payload{Bytes: len(d.Title) + len(d.Body) + len(payload) + len(d.Overrides[name]), Limit: maxPayload}
	o, err := overrides.Of(d.Notification)
	if err != nil {
		return payload, w, err
	}
	switch title, text := utf8.RuneCountInString(d.Title), utf8.RuneCountInString(d.Body); {
	case !o.DataOnly && (isBlank(d.Title) || isBlank(d.Body)):
		err = rejected("", "the service takes no message without title and body")
	case title > maxTitle:
		err = rejected("65009", fmt.Sprintf("the title has %d characters; the service takes %d", title, maxTitle))
	case text > maxText:
		err = rejected("65009", fmt.Sprintf("the body has %d characters; the service takes %d", text, maxText))
	case w.Bytes > maxPayload:
		err = rejected("65009", fmt.Sprintf("the message has %d bytes; the service takes %d", w.Bytes, maxPayload))
	}
	return payload, w, err
}

func rejected(code, detail string) *push.Error {
	return &push.Error{Provider: name, Kind: push.ErrRejected, Code: code, Detail: detail}
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// filled is a text that nobody sees and that must not be empty.
func filled(s string) string {
	if isBlank(s) {
		return "-"
	}
	return s
}

// form says the delivery in the service's words.
func (p *Provider) form(ds []*push.Delivery, tokens []string, payload string) url.Values {
	d := ds[0]
	o, _ := overrides.Of(d.Notification) // weigh has read them
	f := url.Values{
		"registration_id":         {strings.Join(tokens, ",")},
		"restricted_package_name": {p.config.Package},
		"title":                   {d.Title},
		"description":             {d.Body},
		"payload":                 {payload},
		"pass_through":            {"0"},  // the system shows it, even if the app is dead
		"notify_type":             {"-1"}, // as the person has set it
		"notify_id":               {strconv.Itoa(int(providers.NotifyID(d.Replace())))},
		"extra.notify_effect":     {"1"}, // a click opens the app
	}
	if o.DataOnly {
		f.Set("pass_through", "1")
		// The service documents both as needed, whether anybody sees them or not.
		f.Set("title", filled(d.Title))
		f.Set("description", filled(d.Body))
	}
	if d.Silent {
		f.Set("notify_type", "4") // lights alone
	}
	if end := providers.Sooner(d.ExpiresAt, o.TTL); !end.IsZero() {
		left := min(max(time.Until(end), time.Second), maxTTL)
		f.Set("time_to_live", strconv.FormatInt(left.Milliseconds(), 10))
	}
	if channel := p.config.Channels[d.Class]; channel != "" {
		f.Set("extra.channel_id", channel)
	}
	o.say(f, d.Silent)
	if address, param := p.mark().For(d.App, push.CommonID(ds)); address != "" {
		f.Set("extra.callback", address)
		f.Set("extra.callback.param", param)
		f.Set("extra.callback.type", strconv.Itoa(typeDelivered|typeClicked|typeNoDevice|typeQuota))
	}
	return f
}
