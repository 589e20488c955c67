package longconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCertificateIsReadAgainWhenItIsRenewed(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.TLSCert, cfg.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := cfg.tlsConfig(); err == nil {
		t.Fatal("a certificate that is not there was taken")
	}
	write := func(serial int64, at time.Time) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{
			cfg.TLSKey: {Type: "PRIVATE KEY", Bytes: private}, cfg.TLSCert: {Type: "CERTIFICATE", Bytes: der},
		} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	serial := func(c *certificate) int64 {
		c.looked = time.Time{} // a minute later
		cert, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed.SerialNumber.Int64()
	}
	now := time.Now()
	write(1, now)
	c := &certificate{certFile: cfg.TLSCert, keyFile: cfg.TLSKey}
	if got := serial(c); got != 1 {
		t.Errorf("serial %d, want 1", got)
	}
	write(2, now.Add(time.Second))
	if got := serial(c); got != 2 {
		t.Errorf("serial %d after the renewal, want 2", got)
	}
	if err := os.WriteFile(cfg.TLSCert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(c); got != 2 {
		t.Errorf("serial %d while the file is no certificate, want 2 still", got)
	}
}
