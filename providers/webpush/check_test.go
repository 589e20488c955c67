package webpush

import (
	"strings"
	"testing"

	library "github.com/SherClockHolmes/webpush-go"
)

func TestCheckReadsWhatTheKeysSign(t *testing.T) {
	private, public, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	_, strange, err := library.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{config: &config{PublicKey: public, PrivateKey: private, subscriber: "ops@example.com"}}
	if said, err := p.Check(t.Context()); err != nil || !strings.Contains(said, "verifies") {
		t.Errorf("Check() = %q, %v", said, err)
	}
	p.config.PublicKey = strange
	if said, err := p.Check(t.Context()); err == nil {
		t.Errorf("Check() with another's public key = %q", said)
	}
	for _, header := range []string{"", "vapid t=a", "vapid t=a.b.c, k=d", "Bearer x"} {
		if p.config.signed(header) {
			t.Errorf("%q passes for a signed token", header)
		}
	}
}
