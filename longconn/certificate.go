package longconn

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is one in files that may be renewed while it is used.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	cert    *tls.Certificate
	written time.Time // the file, as it was read
	looked  time.Time
}

// tlsConfig is what the config says of TLS: nil if nothing.
func (c Config) tlsConfig() (*tls.Config, error) {
	if c.TLS != nil || c.TLSCert == "" {
		return c.TLS, nil
	}
	files := &certificate{certFile: c.TLSCert, keyFile: c.TLSKey}
	if _, err := files.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: files.get, MinVersion: tls.VersionTLS12}, nil
}

// get looks every minute whether there is a newer one. A new one that cannot be
// read leaves the old in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < time.Minute {
		return c.cert, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && c.cert != nil && info.ModTime().Equal(c.written) {
		return c.cert, nil
	}
	if err == nil {
		var cert tls.Certificate
		if cert, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.cert, c.written = &cert, info.ModTime()
		}
	}
	if c.cert == nil {
		c.looked = time.Time{}
		return nil, fmt.Errorf("longconn: certificate: %w", err)
	}
	return c.cert, nil
}
