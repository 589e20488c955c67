package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is what outlives a restart in [Config.Dir], so that credentials
// stored in an app stay good: the CA, the keys that play the vendors', and the
// addresses.
type identity struct {
	CA        string            `json:"ca"`       // PEM certificate
	CAKey     string            `json:"ca_key"`   // PEM
	APNsKey   string            `json:"apns_key"` // PEM of a .p8
	FCMKey    string            `json:"fcm_key"`  // PEM, RSA
	SMSSecret string            `json:"sms_secret"`
	Addresses map[string]string `json:"addresses"` // by vendor, and "control"

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
	apns  *ecdsa.PrivateKey
	fcm   *rsa.PrivateKey
}

// loadIdentity reads the identity in dir, or makes one. With dir "" it lives in
// memory alone.
func loadIdentity(dir string) (*identity, error) {
	if dir == "" {
		return newIdentity()
	}
	text, err := os.ReadFile(identityFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return newIdentity()
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	id := &identity{}
	if err := json.Unmarshal(text, id); err != nil {
		return nil, fmt.Errorf("sandbox: %s: %w", identityFile(dir), err)
	}
	if err := id.parse(); err != nil {
		return nil, fmt.Errorf("sandbox: %s: %w", identityFile(dir), err)
	}
	return id, nil
}

// save writes the identity to dir, readable by its owner only.
func (id *identity) save(dir string) error {
	if dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	tmp := identityFile(dir) + ".new"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := os.Rename(tmp, identityFile(dir)); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

func identityFile(dir string) string { return filepath.Join(dir, "identity.json") }

func newIdentity() (*identity, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	apns, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	fcm, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ca, err := certify(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "Herald sandbox CA"},
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, nil, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	id := &identity{
		CA:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})),
		SMSSecret: rand.Text(),
		Addresses: make(map[string]string),
	}
	for text, key := range map[*string]crypto.PrivateKey{&id.CAKey: caKey, &id.APNsKey: apns, &id.FCMKey: fcm} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		*text = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return id, id.parse()
}

// parse fills the fields that are not written down.
func (id *identity) parse() error {
	block, _ := pem.Decode([]byte(id.CA))
	if block == nil {
		return errors.New("ca is not PEM")
	}
	var err error
	if id.ca, err = x509.ParseCertificate(block.Bytes); err != nil {
		return err
	}
	if id.caKey, err = parseKey[*ecdsa.PrivateKey](id.CAKey); err != nil {
		return err
	}
	if id.apns, err = parseKey[*ecdsa.PrivateKey](id.APNsKey); err != nil {
		return err
	}
	if id.Addresses == nil {
		id.Addresses = make(map[string]string)
	}
	id.fcm, err = parseKey[*rsa.PrivateKey](id.FCMKey)
	return err
}

func parseKey[K any](text string) (K, error) {
	var none K
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return none, errors.New("a key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return none, err
	}
	k, ok := key.(K)
	if !ok {
		return none, fmt.Errorf("a key is a %T", key)
	}
	return k, nil
}

// serverTLS makes a certificate for the host, signed by the CA.
func (id *identity) serverTLS(host string, protos ...string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	leaf := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Herald sandbox"},
		NotAfter:    time.Now().AddDate(1, 0, 0),
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
	} else if host != "" {
		leaf.DNSNames = append(leaf.DNSNames, host)
	}
	der, err := certify(leaf, id.ca, &key.PublicKey, id.caKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   protos,
	}, nil
}

// certify signs a certificate; a nil parent makes it its own.
func certify(c, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	c.SerialNumber, c.NotBefore = serial, time.Now().Add(-time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return der, nil
}
