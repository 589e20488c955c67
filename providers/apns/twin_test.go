package apns_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/apns"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

func TestTwinTakesEachPushTypeByTokenAndByCertificate(t *testing.T) {
	box := twin(t)
	cert, err := box.Certificate("com.example.demo", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]providers.Provider{
		"token":             open(t, box, nil),
		"certificate":       open(t, box, map[string]any{"certificate": cert}),
		"certificate, p12":  open(t, box, map[string]any{"p12": p12(t, cert, "s3cret"), "password": "s3cret"}),
		"a stranger's, p12": open(t, box, map[string]any{"certificate": strangers(t)}),
	}
	const activity = `,"live_activity":{"event":"update","content_state":{}}`
	for pushType, more := range map[string]string{
		"alert": "", "background": "", "voip": "", "complication": "", "location": "", "liveactivity": activity,
		"fileprovider": "", "pushtotalk": "", "controls": "", "widgets": "",
	} {
		for auth, p := range by {
			t.Run(pushType+" by "+auth, func(t *testing.T) {
				_, err := p.Send(t.Context(), delivery(`{"push_type":"`+pushType+`"`+more+`}`))
				switch tokenOnly := pushType == "location" || pushType == "liveactivity"; {
				case auth == "token" && err != nil:
					t.Errorf("Send() error = %v", err)
				case auth != "token" && tokenOnly && !errors.Is(err, push.ErrRejected):
					t.Errorf("Send() error = %v, want rejected: Apple takes no certificate for it", err)
				case strings.HasPrefix(auth, "certificate") && (pushType == "alert" || pushType == "background" || pushType == "voip") && err != nil:
					t.Errorf("Send() error = %v", err)
				case strings.HasPrefix(auth, "a stranger's") && !tokenOnly && !errors.Is(err, push.ErrCredentials):
					t.Errorf("Send() error = %v, want credentials", err)
				}
			})
		}
	}
}

func TestCertificateThatCannotServeIsNamed(t *testing.T) {
	box := twin(t)
	ended, err := box.Certificate("com.example.demo", time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	good, err := box.Certificate("com.example.demo", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other, err := box.Certificate("com.example.demo", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	onlyCert, _, _ := strings.Cut(good, "-----BEGIN PRIVATE")
	_, onlyKey, _ := strings.Cut(other, "-----END CERTIFICATE-----")
	tests := map[string]struct {
		given map[string]any
		field string
	}{
		"it has ended":               {map[string]any{"certificate": ended}, "certificate"},
		"its key is missing":         {map[string]any{"certificate": onlyCert}, "certificate"},
		"its key is another's":       {map[string]any{"certificate": onlyCert, "key": onlyKey}, "certificate"},
		"it is no PEM":               {map[string]any{"certificate": "hello"}, "certificate"},
		"it is no p12":               {map[string]any{"p12": base64.StdEncoding.EncodeToString([]byte("hello"))}, "p12"},
		"it is no base64":            {map[string]any{"p12": "%"}, "p12"},
		"the password does not open": {map[string]any{"p12": p12(t, good, "s3cret"), "password": "wr0ng"}, "p12"},
		"there is a key of the other kind": {map[string]any{
			"certificate": good, "key_id": "KEY", "team_id": "TEAM",
		}, "key_id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text, _ := json.Marshal(tt.given)
			_, err := apns.New(text)
			invalid, ok := errors.AsType[*push.Invalid](err)
			if !ok {
				t.Fatalf("New() error = %v, want a push.Invalid", err)
			}
			for _, f := range invalid.Faults {
				if f.Field == tt.field {
					return
				}
			}
			t.Errorf("New() error = %v, want it to name %s", err, tt.field)
		})
	}
}

// twin is a running sandbox.
func twin(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("sandbox: %v", err)
		}
	})
	return box
}

// open opens a provider that knows the twin: by token, or by what is given.
func open(t *testing.T, box *sandbox.Sandbox, by map[string]any) providers.Provider {
	t.Helper()
	credentials := box.Credentials("apns")
	if by != nil {
		by["endpoint"], by["ca"] = box.URL("apns"), box.CA()
		credentials, _ = json.Marshal(by)
	}
	p, err := apns.New(credentials)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.(*apns.Provider).CloseIdleConnections)
	return p
}

func strangers(t *testing.T) string {
	t.Helper()
	other, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := other.Certificate("com.example.demo", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// p12 makes a file of a certificate and its key as macOS' keychain does.
func p12(t *testing.T, certificate, password string) string {
	t.Helper()
	openssl := need.Program(t, "openssl", "apt-get install openssl")
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), openssl, "pkcs12", "-export", "-legacy", "-in", file, "-passout", "pass:"+password).Output()
	if err != nil {
		t.Fatalf("openssl: %v", err)
	}
	return base64.StdEncoding.EncodeToString(out)
}

func delivery(overrides string) *push.Delivery {
	return &push.Delivery{
		Notification: &push.Notification{
			App: "demo", ID: "n1", Class: push.Transactional, Title: "Shipped", Body: "on its way", ExpiresAt: time.Now().Add(time.Hour),
			Overrides: map[string]json.RawMessage{"apns": json.RawMessage(overrides)},
		},
		ID: "n1.0.0", Device: "phone-1", Address: push.Address{Provider: "apns", Token: strings.Repeat("ab", 32)},
	}
}
