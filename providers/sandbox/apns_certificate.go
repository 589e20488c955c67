package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/http"
	"time"
)

// known says by what right a request comes: with a token, topics is nil; with a
// certificate, it holds those that the certificate is good for.
func (a *apple) known(r *http.Request) (topics []string, reason string) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, a.tokens.fault(r.Header.Get("Authorization"), a.public)
	}
	leaf := r.TLS.PeerCertificates[0]
	topic := ""
	for _, name := range leaf.Subject.Names {
		if name.Type.Equal(userID) {
			topic, _ = name.Value.(string)
		}
	}
	if leaf.CheckSignatureFrom(a.ca) != nil || time.Now().After(leaf.NotAfter) || topic == "" {
		return nil, "BadCertificate"
	}
	return []string{topic, topic + ".voip", topic + ".complication"}, ""
}

// userID is where a certificate's subject has the app's bundle id (RFC 4519,
// section 2.39).
var userID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}

// Certificate makes one by which Apple's twin knows an app, good until then, in
// PEM with its key.
func (s *Sandbox) Certificate(topic string, until time.Time) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("sandbox: %w", err)
	}
	subject := pkix.Name{CommonName: "Apple Push Services: " + topic}
	subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: userID, Value: topic}}
	der, err := certify(&x509.Certificate{
		Subject: subject, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, s.id.ca, &key.PublicKey, s.id.caKey)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("sandbox: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), nil
}
