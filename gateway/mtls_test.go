package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// certified makes a certificate that vouches for itself, and both as PEM.
func certified(t *testing.T, name string) (cert *x509.Certificate, pair string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestHeraldShowsItsCertificateToABackEndThatAsks(t *testing.T) {
	ours, pair := certified(t, "herald at the agency")
	_, stranger := certified(t, "a stranger")
	known := x509.NewCertPool()
	known.AddCert(ours)
	business := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerJSON(`"`+r.TLS.PeerCertificates[0].Subject.CommonName+`"`)(w, r)
	}))
	business.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	business.StartTLS()
	t.Cleanup(business.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: business.Certificate().Raw}))
	declaration := strings.ReplaceAll(one("\n        call: {backend: main, path: /x}\n"), "{url: BACKEND, allow_private: true,",
		"{url: "+business.URL+", allow_private: true, auth: {type: mtls, secret: pair}, ca: "+quotedYAML(ca)+",")
	for name, tt := range map[string]struct{ pair, want string }{
		"its own":      {pair, `"herald at the agency"`},
		"a stranger's": {stranger, CodeUnreachable},
		"none":         {"", CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, one(plainGet), nil)
			w.parts.Secrets = secrets{"pair": tt.pair}
			w.declare(declaration)
			if got, _, e := w.ask("get", `{}`); got != tt.want {
				t.Errorf("answer %s (%v), want %s", got, e, tt.want)
			}
		})
	}
}

// quotedYAML is a text on one line.
func quotedYAML(text string) string { return `"` + strings.ReplaceAll(text, "\n", `\n`) + `"` }
