package vivo

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"category":"ORDER","sound":"vibrate","badge":true,"foreground":false,"ttl_seconds":86400,"click":{"open":"intent","target":"intent://x#Intent;end"},"test":true}`: "",
		`{"sound":"loud","ttl_seconds":59,"click":{"open":"activity","target":"x"}}`:                                                                                        "click.open sound ttl_seconds",
		`{"badge":3}`: "badge",
	})
}

func TestOverridesGoWhereVivoWantsThem(t *testing.T) {
	p := open1(t)
	for overrides, want := range map[string][]string{
		`{}`: {`"skipType":1`, `"notifyType":4`},
		`{"category":"TODO","sound":"none","badge":true,"foreground":false,"test":true}`: {
			`"category":"TODO"`, `"notifyType":1`, `"addBadge":true`, `"foregroundShow":false`, `"pushMode":1`,
		},
		`{"click":{"open":"url","target":"https://x/y"}}`:              {`"skipType":2`, `"skipContent":"https://x/y"`},
		`{"click":{"open":"intent","target":"intent://x#Intent;end"}}`: {`"skipType":4`, `"skipContent":"intent://x#Intent;end"`},
	} {
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"vivo": json.RawMessage(overrides)}
		m, _, err := p.message([]*push.Delivery{d})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		providertest.Holds(t, string(body), want, nil)
	}
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{"vivo": json.RawMessage(`{"sound":"loud"}`)}
	if _, err := p.Weigh(d); !errors.Is(err, push.ErrRejected) {
		t.Errorf("Weigh() error = %v, want rejected", err)
	}
}
