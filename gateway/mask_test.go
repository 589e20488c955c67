package gateway

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWhatIsMaskedIsSeenNowhereUnderAnyName(t *testing.T) {
	w := newWorld(t, one(`
        call:
          backend: main
          method: POST
          path: '/people/{who}'
          headers: {X-Kind: lead}
          request: '{path: {who: .phone}, query: {tel: .phone, zone: .zone}, headers: {"X-Tel": .phone}, body: {tel: ("+" + .phone), by: $caller.user, age: .age}}'
          response: '{ok: true, contact: ("call " + .mobile), age: .years, zone: .zone}'
        sample: {percent: 100, mask: [phone, mobile, age]}
`), answerJSON(`{"mobile":"0900 55 66","years":123456,"zone":"north"}`))
	if out, _, e := w.ask("get", `{"phone":"0800 11/22","zone":"north","age":123456}`); out == "" || e != nil {
		t.Fatalf("%s %v", out, e)
	}
	kept := w.Exchanges("demo", "jobs")
	if len(kept) != 1 {
		t.Fatalf("%d exchanges", len(kept))
	}
	text, err := json.Marshal(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"0800", "11/22", "11%2F22", "0900", "123456"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the exchange has %q: %s", secret, text)
		}
	}
	for _, plain := range []string{`"north"`, `"lead"`, `"ok":true`, `"call ***"`} {
		if !strings.Contains(string(text), plain) {
			t.Errorf("the exchange lacks %s: %s", plain, text)
		}
	}
}
