package xiaomi

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"channel_id":"1","ttl_seconds":60,"click":{"open":"intent","target":"intent://x#Intent;end"},"sound":"android.resource://a/raw/b","foreground":true}`: "",
		`{"ttl_seconds":0,"click":{"open":"activity","target":"x"},"sound":"ping.mp3"}`:                                                                         "click.open sound ttl_seconds",
		`{"data_only":true,"channel_id":"1"}`:    "data_only",
		`{"importance":"LOW","foreground":"no"}`: "importance foreground",
	})
}

func TestOverridesGoWhereXiaomiWantsThem(t *testing.T) {
	p := open1(t)
	for overrides, want := range map[string]map[string]string{
		`{}`: {"extra.notify_effect": "1", "pass_through": "0", "extra.channel_id": "ch-orders", "extra.sound_uri": ""},
		`{"channel_id":"77","sound":"android.resource://a/raw/b","foreground":false,"click":{"open":"url","target":"https://x/y"},"ttl_seconds":1}`: {
			"extra.channel_id": "77", "extra.sound_uri": "android.resource://a/raw/b", "extra.notify_foreground": "0",
			"extra.notify_effect": "3", "extra.web_uri": "https://x/y", "time_to_live": "1000",
		},
		`{"click":{"open":"intent","target":"intent://x#Intent;end"}}`: {"extra.notify_effect": "2", "extra.intent_uri": "intent://x#Intent;end"},
		`{"data_only":true}`: {"pass_through": "1", "title": "Shipped"},
	} {
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"xiaomi": json.RawMessage(overrides)}
		f := p.form([]*push.Delivery{d}, nil, "")
		for key, v := range want {
			if f.Get(key) != v {
				t.Errorf("%s: %s = %q, want %q", overrides, key, f.Get(key), v)
			}
		}
	}
	d := delivery("n1.0.0")
	d.Silent = true
	d.Overrides = map[string]json.RawMessage{"xiaomi": json.RawMessage(`{"sound":"android.resource://a/raw/b"}`)}
	if f := p.form([]*push.Delivery{d}, nil, ""); f.Get("extra.sound_uri") != "" {
		t.Error("the caller's sound comes before quiet hours")
	}
	d.Overrides["xiaomi"] = json.RawMessage(`{"ttl_seconds":0}`)
	if _, err := p.Weigh(d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("Weigh() error = %v, want rejected", err)
	}
}

func TestDataOnlyNeedsNoTitle(t *testing.T) {
	p := open1(t)
	d := delivery("n1.0.0")
	d.Title, d.Body = "", " "
	if _, err := p.Weigh(d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("what is shown: Weigh() error = %v, want rejected", err)
	}
	d.Overrides = map[string]json.RawMessage{"xiaomi": json.RawMessage(`{"data_only":true}`)}
	if _, err := p.Weigh(d); err != nil {
		t.Errorf("what nobody sees: Weigh() error = %v", err)
	}
	if f := p.form([]*push.Delivery{d}, nil, ""); f.Get("title") != "-" || f.Get("description") != "-" || f.Get("pass_through") != "1" {
		t.Errorf("the form is %v, want the texts filled that Xiaomi needs", f)
	}
}
