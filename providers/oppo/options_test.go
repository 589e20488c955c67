package oppo

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"channel_id":"c","category":"ORDER","notify_level":16,"ttl_seconds":60,"click":{"open":"activity","target":"com.example.Order"}}`: "",
		`{"notify_level":3,"ttl_seconds":864001,"click":{"open":"web","target":"x"}}`:                                                       "click.open notify_level ttl_seconds",
		`{"notify_level":2}`: "notify_level",
		`{"sound":"x"}`:      "sound",
	})
}

func TestOverridesGoWhereOPPOWantsThem(t *testing.T) {
	p := open1(t)
	for overrides, want := range map[string][]string{
		`{}`: {`"click_action_type":0`},
		`{"channel_id":"c","category":"ORDER","notify_level":16,"ttl_seconds":2}`: {
			`"channel_id":"c"`, `"category":"ORDER"`, `"notify_level":16`, `"off_line_ttl":1`,
		},
		`{"click":{"open":"activity","target":"com.example.Order"}}`:   {`"click_action_type":4`, `"click_action_activity":"com.example.Order"`},
		`{"click":{"open":"url","target":"https://x/y"}}`:              {`"click_action_type":2`, `"click_action_url":"https://x/y"`},
		`{"click":{"open":"intent","target":"intent://x#Intent;end"}}`: {`"click_action_type":5`, `"click_action_url":"intent://x#Intent;end"`},
	} {
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"oppo": json.RawMessage(overrides)}
		body, err := json.Marshal(p.message(d, ""))
		if err != nil {
			t.Fatal(err)
		}
		providertest.Holds(t, string(body), want, nil)
	}
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{"oppo": json.RawMessage(`{"notify_level":5}`)}
	if _, err := p.Weigh(d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("Weigh() error = %v, want rejected", err)
	}
}
