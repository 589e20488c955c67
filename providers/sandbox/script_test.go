package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// script gives a vendor a script of faults.
func script(t *testing.T, s *sandbox.Sandbox, vendor, rules string) {
	t.Helper()
	if status, answer := call(t, s, "POST", "/sandbox/"+vendor+"/faults", `{"rules":[`+rules+`]}`, "application/json"); status != http.StatusOK {
		t.Fatalf("POST faults: %d %s", status, answer)
	}
}

func TestScriptedFaultsBecomeTheirKinds(t *testing.T) {
	s := start(t, sandbox.Config{})
	for _, vendor := range overHTTP() {
		p := open(t, s, vendor, "")
		if _, err := p.Send(t.Context(), delivery(vendor, "n1.0.0")); err != nil {
			t.Fatal(err)
		}
		for do, want := range map[string]error{
			`{"status":500,"body":"later"}`:                   push.ErrUnavailable,
			`{"html":true}`:                                   push.ErrUnavailable,
			`{"hang":true}`:                                   push.ErrUnknown,
			`{"reset":"INTERNAL_ERROR"}`:                      push.ErrUnknown,
			`{"goaway":"cut"}`:                                push.ErrUnknown,
			`{"goaway":"graceful"}`:                           nil,
			`{"silent":true}`:                                 nil,
			`{"latency_ms":5,"spread":"lognormal"}`:           nil,
			`{"latency_ms":5,"jitter_ms":5,"spread":"fixed"}`: nil,
		} {
			script(t, s, vendor, `{"times":1,"do":`+do+`}`)
			d := delivery(vendor, "n2.0.0")
			var err error
			if strings.Contains(do, "hang") {
				err = givenUp(t, p, d, func() bool {
					_, told := call(t, s, "GET", "/sandbox/"+vendor+"/faults", "", "")
					return strings.Contains(told, `"played":1`)
				})
			} else {
				_, err = p.Send(t.Context(), d)
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: %s: error = %v, want %v", vendor, do, err, want)
			}
			if _, err := p.Send(t.Context(), delivery(vendor, "n3.0.0")); err != nil {
				t.Errorf("%s: after %s: %v", vendor, do, err)
			}
		}
	}
}

// givenUp makes an attempt that is given up once something holds, by which time
// the vendor has it.
func givenUp(t *testing.T, p providers.Provider, d *push.Delivery, holds func() bool) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := p.Send(ctx, d)
		done <- err
	}()
	await(t, "the vendor has it", holds)
	cancel()
	return <-done
}

func TestRefusedStreamIsSafeToSendAgain(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "apns", "")
	script(t, s, "apns", `{"times":1,"do":{"reset":"REFUSED_STREAM"}}`)
	if _, err := p.Send(t.Context(), delivery("apns", "n1.0.0")); err != nil {
		t.Errorf("a stream refused once: %v", err)
	}
	script(t, s, "apns", `{"do":{"reset":"REFUSED_STREAM"}}`)
	if _, err := p.Send(t.Context(), delivery("apns", "n1.0.0")); !errors.Is(err, push.ErrUnavailable) {
		t.Errorf("a stream refused for ever: %v, want unavailable: it may be sent again", err)
	}
}

func TestRulesSayWhichRequestsAndHowMany(t *testing.T) {
	other := strings.Repeat("cd", 32)
	tests := map[string]struct {
		rules string
		want  string // of eight requests: . passes, x is refused; the odd ones are for another device
	}{
		"every request":          {`{"do":{"code":"ServiceUnavailable"}}`, "xxxxxxxx"},
		"three times":            {`{"times":3,"do":{"code":"ServiceUnavailable"}}`, "xxx....."},
		"after two":              {`{"skip":2,"times":1,"do":{"code":"ServiceUnavailable"}}`, "..x....."},
		"one device":             {`{"match":{"token":"` + other + `"},"do":{"code":"ServiceUnavailable"}}`, ".x.x.x.x"},
		"one device, twice":      {`{"match":{"token":"` + other + `"},"times":2,"do":{"code":"ServiceUnavailable"}}`, ".x.x...."},
		"the app":                {`{"match":{"app":"com.example.demo"},"times":1,"do":{"code":"ServiceUnavailable"}}`, "x......."},
		"another app":            {`{"match":{"app":"com.example.other"},"do":{"code":"ServiceUnavailable"}}`, "........"},
		"words of the message":   {`{"match":{"contains":"Shipped"},"times":1,"do":{"code":"ServiceUnavailable"}}`, "x......."},
		"a path":                 {`{"match":{"path":"/3/device/cd"},"do":{"code":"ServiceUnavailable"}}`, ".x.x.x.x"},
		"later":                  {`{"from_s":3600,"do":{"code":"ServiceUnavailable"}}`, "........"},
		"over already":           {`{"for_s":0.000001,"do":{"code":"ServiceUnavailable"}}`, "........"},
		"the first that applies": {`{"times":1,"do":{"latency_ms":1}},{"times":2,"do":{"code":"ServiceUnavailable"}}`, ".xx....."},
		"no rules":               {``, "........"},
	}
	s := start(t, sandbox.Config{})
	p := open(t, s, "apns", "")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			script(t, s, "apns", tt.rules)
			got := ""
			for i := range 8 {
				d := delivery("apns", fmt.Sprintf("n1.0.%d", i))
				if i%2 == 1 {
					d.Address.Token = other
				}
				if _, err := p.Send(t.Context(), d); err != nil {
					got += "x"
				} else {
					got += "."
				}
			}
			if got != tt.want {
				t.Errorf("requests went %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSilentRuleLosesOneDevicesMessages(t *testing.T) {
	s := start(t, sandbox.Config{})
	p := open(t, s, "sms", "")
	script(t, s, "sms", `{"match":{"number":"+49"},"do":{"silent":true}}`)
	for _, number := range []string{"+4915112345678", "+33612345678"} {
		d := delivery("sms", "n1.0.0")
		d.Address.Token = number
		if _, err := p.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if heard := len(s.Shows("sms", number)) > 0; heard != (number[:3] == "+33") {
			t.Errorf("%s heard: %v", number, heard)
		}
	}
}

func TestScriptsThatMakeNoSenseAreRefused(t *testing.T) {
	s := start(t, sandbox.Config{})
	for body, want := range map[string]string{
		`{"rules":[{"do":{}}]}`: "rules[0].do: nothing",
		`{"rules":[{"do":{"hang":true}},{"do":{"hang":true,"html":true}}]}`: "rules[1].do: give one",
		`{"rules":[{"do":{"code":"BadMoon"}}]}`:                             `rules[0].do.code: this vendor has no error named "BadMoon"`,
		`{"rules":[{"do":{"reset":"SOFTLY"}}]}`:                             "rules[0].do.reset",
		`{"rules":[{"do":{"goaway":"never"}}]}`:                             "rules[0].do.goaway",
		`{"rules":[{"do":{"status":42}}]}`:                                  "rules[0].do.status",
		`{"rules":[{"do":{"body":"x","hang":true}}]}`:                       "rules[0].do.body",
		`{"rules":[{"do":{"latency_ms":-1,"hang":true}}]}`:                  "rules[0].do.latency_ms",
		`{"rules":[{"do":{"latency_ms":1,"spread":"wild"}}]}`:               "rules[0].do.spread",
		`{"rules":[{"do":{"status":503,"retry_after_s":-1}}]}`:              "rules[0].do.retry_after_s",
		`{"rules":[{"share":2,"do":{"hang":true}}]}`:                        "rules[0].share",
		`{"rules":[{"times":-1,"do":{"hang":true}}]}`:                       "rules[0].skip and times",
		`{"rules":[{"for_s":-1,"do":{"hang":true}}]}`:                       "rules[0].from_s and for_s",
		`{"rules":[{"match":{"number":"49"},"do":{"hang":true}}]}`:          "rules[0].match.number",
		`{"rules":[{"dont":{}}]}`:                                           "unknown field",
		`[]`:                                                                "cannot unmarshal",
	} {
		status, answer := call(t, s, "POST", "/sandbox/apns/faults", body, "application/json")
		var fault struct{ Error string }
		_ = json.Unmarshal([]byte(answer), &fault)
		if status != http.StatusBadRequest || !strings.Contains(fault.Error, want) {
			t.Errorf("%s: %d %s, want 400 with %s", body, status, answer, want)
		}
	}
}

func TestRequestsAreKeptWithoutTheirSecrets(t *testing.T) {
	s := start(t, sandbox.Config{})
	for _, vendor := range overHTTP() {
		p := open(t, s, vendor, "")
		for i := range 3 {
			if _, err := p.Send(t.Context(), delivery(vendor, fmt.Sprintf("n1.0.%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		_, answer := call(t, s, "GET", "/sandbox/"+vendor+"/requests?limit=100", "", "")
		var list struct{ Requests []sandbox.Request }
		if err := json.Unmarshal([]byte(answer), &list); err != nil || len(list.Requests) < 3 {
			t.Fatalf("%s: %v in %s", vendor, err, answer)
		}
		if r := list.Requests[0]; r.Status == 0 || r.Method != "POST" || r.ID < 3 || r.Headers["Content-Type"] == "" {
			t.Errorf("%s: request %+v", vendor, r)
		}
		for _, secret := range secretsIn(s.Credentials(vendor)) {
			if strings.Contains(answer, secret) {
				t.Errorf("%s: its requests tell the secret %.12s…", vendor, secret)
			}
		}
		if strings.Contains(answer, "eyJ") {
			t.Errorf("%s: a signed token is told: %s", vendor, answer)
		}
	}
	script(t, s, "apns", `{"do":{"status":599}}`)
	p := open(t, s, "apns", "")
	_, _ = p.Send(t.Context(), delivery("apns", "n9.0.0"))
	_, answer := call(t, s, "GET", "/sandbox/apns/requests?limit=1", "", "")
	if !strings.Contains(answer, `"status":599`) || !strings.Contains(answer, `"fault":"{\"status\":599}"`) {
		t.Errorf("what the script did is not told: %s", answer)
	}
	if _, answer := call(t, s, "GET", "/sandbox/apns/requests?contains=nowhere", "", ""); answer != `{"requests":[]}` {
		t.Errorf("requests with a word that none has: %s", answer)
	}
}

// secretsIn lists the values of credentials whose name says that they are secret.
func secretsIn(credentials []byte) (secrets []string) {
	var c map[string]any
	_ = json.Unmarshal(credentials, &c)
	for name, value := range c {
		text, ok := value.(string)
		if ok && len(text) > 8 && (strings.Contains(name, "secret") || strings.Contains(name, "private")) {
			secrets = append(secrets, text)
		}
	}
	return secrets
}
