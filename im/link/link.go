// Package link joins the access floor to the logic floor where they run in
// processes of their own: thousands of connections come in at an access node,
// and a few streams lead on from it to each logic node.
//
// What a user's devices say goes to one logic node, chosen by the user's name,
// for as long as it is there. A logic node grants each stream how many calls may
// be under way; every answer gives one back, so a node that is slow is not
// overrun, and what waits for it waits at the devices. Calls that gather while a
// message is on its way go together in the next. A call whose node is lost is
// made again at another: what is said twice is said once.
//
// The nodes know each other by a key that both derive from the installation's
// sealing key: nobody else may join.
package link

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/herald-push/herald/im"
)

// Logic is the floor that calls are led to.
type Logic interface {
	// Say is access.Chat's.
	Say(ctx context.Context, who im.Session, payload []byte) (retry bool, err error)
	// Acked notes that a device of a user took a frame.
	Acked(app, user, id string)
}

// Config shapes both ends. Start from [DefaultConfig].
type Config struct {
	// Listen is where a process with the role im takes calls from access nodes,
	// such as :7420. Empty: it takes none, and serves its own connections alone.
	Listen string `yaml:"listen"`
	// Advertise is where access nodes reach it. Default: the address that it
	// listens on, if that names a machine.
	Advertise string `yaml:"advertise"`
	// Streams is how many an access node opens to each logic node. Default 4.
	Streams int `yaml:"streams"`
	// Window is how many calls may be under way on a stream. Default 256.
	Window int `yaml:"window"`
	// Patience is how long a call may take, looking for another node included.
	// Default 8s.
	Patience time.Duration `yaml:"patience"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config { return Config{Streams: 4, Window: 256, Patience: 8 * time.Second} }

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Streams < 1 || c.Streams > 64 {
		errs = append(errs, fmt.Errorf("im.link.streams: %d is not from 1 to 64", c.Streams))
	}
	if c.Window < 1 || c.Window > 1<<16 {
		errs = append(errs, fmt.Errorf("im.link.window: %d is not from 1 to 65536", c.Window))
	}
	if c.Patience < time.Millisecond {
		errs = append(errs, fmt.Errorf("im.link.patience: %s is less than 1ms", c.Patience))
	}
	if _, err := c.advertised(c.Listen); c.Listen != "" && err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// advertised is where others reach a node that listens on addr.
func (c Config) advertised(addr string) (string, error) {
	if c.Advertise != "" {
		addr = c.Advertise
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("im.link.listen: %q is no address such as 10.0.0.7:7420", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("im.link.advertise: %q names no machine that others could reach", addr)
	}
	return addr, nil
}

// identity is the TLS of both ends: the same certificate, made of the
// installation's secret, is shown and asked for.
func identity(secret []byte) (*tls.Config, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "herald im link", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("im/link: derive the key: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	public, _ := key.Public().(ed25519.PublicKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, fmt.Errorf("im/link: certificate: %w", err)
	}
	return &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, //nolint:gosec // no authority is asked: the key itself is compared below
		MinVersion:         tls.VersionTLS13,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 1 && public.Equal(s.PeerCertificates[0].PublicKey) {
				return nil
			}
			return errors.New("im/link: the other end has another sealing key")
		},
	}, nil
}
