package honor

import (
	"encoding/json"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"importance":"LOW","ttl_seconds":60,"click":{"open":"app"},"badge":{"add":1,"class":"C"},"image":"https://x/y","test":true}`: "",
		`{"importance":"HIGH","ttl_seconds":1296001,"category":"IM"}`:                                                                  "category importance ttl_seconds",
		`{"importance":"HIGH","ttl_seconds":1296001}`:                                                                                  "importance ttl_seconds",
		`{"data_only":true,"image":"https://x/y"}`:                                                                                     "data_only",
		`{"click":{"open":"activity","target":"x"},"badge":{}}`:                                                                        "badge badge.class click.open",
	})
}

func TestOverridesGoWhereHonorWantsThem(t *testing.T) {
	c, err := parse([]byte(`{"app_id":"104","client_id":"1","client_secret":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for overrides, want := range map[string][]string{
		`{}`: {`"importance":"NORMAL"`, `"clickAction":{"type":3}`},
		`{"importance":"LOW","click":{"open":"url","target":"https://x/y"},"badge":{"set":0,"class":"C"},"test":true,"ttl_seconds":60}`: {
			`"importance":"LOW"`, `"clickAction":{"type":2,"url":"https://x/y"}`, `"badge":{"setNum":0,"badgeClass":"C"}`, `"targetUserType":1`, `"ttl":"60s"`,
		},
		`{"click":{"open":"intent","target":"intent://x#Intent;end"}}`: {`"clickAction":{"type":1,"intent":"intent://x#Intent;end"}`},
	} {
		d := delivery("n1.0.0")
		d.Overrides = map[string]json.RawMessage{"honor": json.RawMessage(overrides)}
		body, _, err := c.encode([]*push.Delivery{d}, []string{phone})
		if err != nil {
			t.Fatal(err)
		}
		providertest.Holds(t, string(body), want, nil)
	}
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{"honor": json.RawMessage(`{"data_only":true}`)}
	body, _, err := c.encode([]*push.Delivery{d}, []string{phone})
	if err != nil {
		t.Fatal(err)
	}
	providertest.Holds(t, string(body), []string{`"data":"{`}, []string{`"notification":`})
}
