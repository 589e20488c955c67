package huawei

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"category":"TRAVEL","urgency":"HIGH","importance":"HIGH","ttl_seconds":60,"color":"#00aaff","foreground":false,"badge":{"set":0,"class":"com.example.Main"}}`: "",
		`{"category":"GOSSIP","urgency":"now","importance":"loud","visibility":"ALL","ttl_seconds":0}`:                                                                  "category importance ttl_seconds urgency visibility",
		`{"click":{"open":"activity","target":"x"},"badge":{"add":1,"set":1},"image":"http://x","color":"blue"}`:                                                        "badge badge.class click.open color image",
		`{"click":{"open":"url","target":"intent://x"},"badge":{"class":"c"}}`:                                                                                          "badge click.target",
		`{"click":{"open":"app","target":"x"},"badge":{"add":100,"class":"c"}}`:                                                                                         "badge.add click.target",
		`{"click":{"open":"intent","target":"shop://order"}}`:                                                                                                           "click.target",
		`{"click":{"target":"x"}}`:                                  "click.open",
		`{"data_only":true,"sound":"/raw/x","image":"https://x/y"}`: "image sound",
		`{"android":{}}`:                                            "android",
		`[]`:                                                        ".",
	})
}

func TestOverridesGoWhereHuaweiWantsThem(t *testing.T) {
	c, err := parse([]byte(`{"client_id":"1","client_secret":"x","click_intent":"intent://own#Intent;end"}`))
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{config: c}
	tests := map[string]struct {
		overrides string
		silent    bool
		want      []string // parts of the body
		not       []string
	}{
		"nothing said":  {`{}`, false, []string{`"urgency":"NORMAL"`, `"click_action":{"type":1,"intent":"intent://own#Intent;end"}`, `"foreground_show":true`}, []string{`channel_id`, `badge`}},
		"an address":    {`{"click":{"open":"url","target":"https://example.com/x"}}`, false, []string{`"click_action":{"type":2,"url":"https://example.com/x"}`}, nil},
		"the app":       {`{"click":{"open":"app"}}`, false, []string{`"click_action":{"type":3}`}, nil},
		"another":       {`{"click":{"open":"intent","target":"intent://other#Intent;end"}}`, false, []string{`"intent":"intent://other#Intent;end"`}, []string{`intent://own#Intent;end`}},
		"many words":    {`{"category":"TRAVEL","channel_id":"orders","urgency":"HIGH","importance":"HIGH","sound":"/raw/ping","test":true,"badge":{"add":2,"class":"C"}}`, false, []string{`"category":"TRAVEL"`, `"channel_id":"orders"`, `"urgency":"HIGH"`, `"importance":"HIGH"`, `"sound":"/raw/ping"`, `"target_user_type":1`, `"badge":{"add_num":2,"class":"C"}`}, nil},
		"quiet hours":   {`{"importance":"HIGH","sound":"/raw/ping"}`, true, []string{`"importance":"LOW"`}, []string{`/raw/ping`}},
		"for the app":   {`{"data_only":true}`, false, []string{`"data":"{`}, []string{`"notification":`}},
		"a minute long": {`{"ttl_seconds":60}`, false, []string{`"ttl":"60s"`}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			d.Silent = tt.silent
			d.Overrides = map[string]json.RawMessage{"huawei": json.RawMessage(tt.overrides)}
			body, w, err := c.encode([]*push.Delivery{d}, []string{phone}, p.urgency(d.Notification))
			if err != nil || w.Bytes == 0 {
				t.Fatalf("encode() = %+v, %v", w, err)
			}
			providertest.Holds(t, string(body), tt.want, tt.not)
		})
	}
}

func TestFaultyOverridesAreRefused(t *testing.T) {
	p := providertest.HTTP(service(t)).Start(t, providertest.Accepts).Provider
	d := delivery("n1.0.0")
	d.Overrides = map[string]json.RawMessage{"huawei": json.RawMessage(`{"category":"GOSSIP"}`)}
	if _, err := p.Send(t.Context(), d); !errors.Is(err, push.ErrRejected) || !strings.Contains(err.Error(), "category") {
		t.Errorf("Send() error = %v, want rejected, with the field", err)
	}
}
