package apns

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"time"

	"github.com/sideshow/apns2/certificate"
	"github.com/sideshow/apns2/token"

	"github.com/herald-push/herald/providers"
)

// config is the JSON of an app's credentials: a key, which never ends, or a
// certificate, which is good for a year and does not serve every push type.
type config struct {
	Endpoint string `json:"endpoint"` // replaces Apple's hosts; https
	CA       string `json:"ca"`       // PEM, trusted beside the system's
	KeyID    string `json:"key_id"`
	TeamID   string `json:"team_id"`
	Key      string `json:"key"`   // PEM of the .p8 file, or of the certificate's key
	Topic    string `json:"topic"` // the app's bundle id; an address may name another

	Certificate string `json:"certificate"` // PEM; its key may be behind it, or in Key
	P12         string `json:"p12"`         // the .p12 file in base64, in place of both
	Password    string `json:"password"`    // of either

	key  *ecdsa.PrivateKey // nil with a certificate
	tls  *tls.Config
	ends time.Time // of the certificate
}

// parse reads credentials and reports every fault at once.
func parse(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	faults.Endpoint("endpoint", c.Endpoint, "https")
	var err error
	if c.tls, err = providers.TLS(c.CA); err != nil {
		faults.Add("ca", "holds no certificate in PEM")
		c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Certificate != "" || c.P12 != "" {
		c.readCertificate(&faults)
	} else {
		c.readKey(&faults)
	}
	faults.Require("topic", c.Topic)
	return &c, faults.Err()
}

func (c *config) readKey(faults *providers.Faults) {
	faults.Require("key_id", c.KeyID)
	faults.Require("team_id", c.TeamID)
	faults.Require("key", c.Key)
	if c.Key == "" {
		return
	}
	var err error
	if c.key, err = token.AuthKeyFromBytes([]byte(c.Key)); err != nil || c.key.Curve != elliptic.P256() {
		faults.Add("key", "is not the PEM of a .p8 file with a P-256 key")
	}
}

// readCertificate takes the certificate as what Apple knows us by. It also says
// the topic, if the credentials do not.
func (c *config) readCertificate(faults *providers.Faults) {
	if c.KeyID != "" || c.TeamID != "" {
		faults.Add("key_id", "is of a .p8 key; give that or a certificate")
	}
	field, lacks := "certificate", "holds no certificate with its private key that the password opens"
	read := func() (tls.Certificate, error) {
		return certificate.FromPemBytes([]byte(c.Certificate+"\n"+c.Key), c.Password)
	}
	if c.P12 != "" {
		field, lacks = "p12", lacks+"; openssl writes one that can be read with pkcs12 -legacy"
		read = c.fromP12
	}
	cert, err := read()
	if err != nil || !belongs(&cert) {
		faults.Add(field, lacks)
		return
	}
	if c.ends = cert.Leaf.NotAfter; time.Now().After(c.ends) {
		faults.Add(field, "has ended on "+c.ends.UTC().Format(time.DateOnly))
	}
	if c.Topic == "" {
		c.Topic = topicOf(cert.Leaf)
	}
	c.tls.Certificates = []tls.Certificate{cert}
}

func (c *config) fromP12() (tls.Certificate, error) {
	file, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.P12), ""))
	if err != nil {
		return tls.Certificate{}, err
	}
	return certificate.FromP12Bytes(file, c.Password)
}

// belongs reports whether a certificate's private key is its own.
func belongs(cert *tls.Certificate) bool {
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok || cert.Leaf == nil {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.Leaf.PublicKey)
}

// topicOf is the user id (RFC 4519, section 2.39) of the certificate's subject,
// where Apple writes the app's bundle id.
func topicOf(leaf *x509.Certificate) string {
	uid := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	for _, name := range leaf.Subject.Names {
		if text, ok := name.Value.(string); ok && name.Type.Equal(uid) {
			return text
		}
	}
	return ""
}
