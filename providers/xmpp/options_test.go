package xmpp

import (
	"encoding/json"
	"testing"

	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

func TestOverridesNameEveryFault(t *testing.T) {
	providertest.Overrides(t, CheckOverrides, map[string]string{
		`{"type":"headline","ttl_seconds":60,"store":false,"data_only":true}`: "",
		`{"type":"groupchat","ttl_seconds":0,"sound":"x"}`:                    "sound ttl_seconds type",
		`{"type":"groupchat","ttl_seconds":0}`:                                "ttl_seconds type",
	})
}

func TestOverridesShapeTheStanza(t *testing.T) {
	c := &config{Domain: "push.example.org", Secret: "s", Type: "chat"}
	tests := map[string]struct {
		overrides string
		class     push.Class
		want, not []string
	}{
		"nothing said":      {`{}`, push.Chat, []string{`type="chat"`, `<subject>`, `<body>`}, []string{`no-store`}},
		"an otp":            {`{}`, push.OTP, []string{`<no-store`}, nil},
		"an otp to be kept": {`{"store":true}`, push.OTP, nil, []string{`no-store`}},
		"not to be kept":    {`{"store":false}`, push.Chat, []string{`<no-store`}, nil},
		"a headline":        {`{"type":"headline"}`, push.Chat, []string{`type="headline"`}, []string{`type="chat"`}},
		"for the app alone": {`{"data_only":true}`, push.Chat, []string{`urn:herald:push:1`}, []string{`<subject>`, `<body>`}},
		"a minute long":     {`{"ttl_seconds":60}`, push.Chat, []string{`seconds="000005`}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery("n1.0.0")
			d.Class = tt.class
			d.Overrides = map[string]json.RawMessage{"xmpp": json.RawMessage(tt.overrides)}
			stanza, err := c.encode(d)
			if err != nil {
				t.Fatal(err)
			}
			providertest.Holds(t, string(stanza), tt.want, tt.not)
		})
	}
}
