package sandbox

import (
	"crypto/ecdh"
	"encoding/base64"
	"testing"
)

// The example of RFC 8291, section 5 and appendix A.
func TestDecryptReadsTheStandardsExample(t *testing.T) {
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key, err := ecdh.P256().NewPrivateKey(decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	auth := decode("BTBZMqHH6r4Tts7J_aSIgg")
	body := decode("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml" +
		"mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT" +
		"pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	text, err := decrypt(key, auth, body)
	if err != nil || string(text) != "When I grow up, I want to be a watermelon" {
		t.Errorf("decrypt() = %q, %v", text, err)
	}
	for n := range body {
		if _, err := decrypt(key, auth, body[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for a message", n)
		}
	}
	body[len(body)-1] ^= 1
	if _, err := decrypt(key, auth, body); err == nil {
		t.Error("a changed message is taken for one")
	}
}
