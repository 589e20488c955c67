package sandbox

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/internal/h2"
)

// Vendors are the names of the services that are played.
var Vendors = [...]string{"apns", "fcm", "sms", "huawei", "honor", "xiaomi", "webpush", "oppo", "http", "vivo", "meizu", "smpp", "xmpp"}

// Config shapes a sandbox. Its zero value is good for tests.
type Config struct {
	// Host is where it listens. Default 127.0.0.1, which is also where it
	// belongs: its keys are no secret to whoever reaches its control API.
	Host string `json:"host"`

	// Ports are the ports by vendor, and "control". One that is missing or 0 is
	// free: the one of the last time, where Dir remembers it and it is free, or
	// else any.
	Ports map[string]int `json:"ports"`

	// Dir keeps keys and ports, so that credentials stored in an app outlive a
	// restart. "" keeps nothing.
	Dir string `json:"dir"`

	// PerDevice is how many messages of a device are kept, and Devices of how
	// many devices of a vendor. Defaults 8 and 4096, about 10 MB a vendor.
	PerDevice int `json:"per_device"`
	Devices   int `json:"devices"`

	// Log gets what is worth knowing. Default: nothing.
	Log *slog.Logger `json:"-"`
}

// Sandbox plays every vendor.
type Sandbox struct {
	id      *identity
	hooks   hooks
	vendors map[string]*vendor
	mail    *mail
	servers []server
	control string
	apns    *apple
	fcm     *google
	sms     *carrier
}

// server is one listener with what serves it until ctx ends.
type server struct {
	on    net.Listener
	serve func(ctx context.Context, on net.Listener) error
}

// New opens the listeners, so that every address is known; [Sandbox.Run] serves
// them.
func New(c Config) (*Sandbox, error) {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.PerDevice <= 0 {
		c.PerDevice = 8
	}
	if c.Devices <= 0 {
		c.Devices = 4096
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{id: id, vendors: make(map[string]*vendor), mail: newMail(c.Log)}
	if err := errors.Join(s.open(c), id.save(c.Dir)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Sandbox) open(c Config) error {
	for _, name := range Vendors {
		l, err := s.listen(c, name)
		if err != nil {
			return err
		}
		gate, scheme := newGate(l), "https"
		switch name {
		case "sms":
			scheme = "http"
		case "smpp", "xmpp":
			scheme = name
		}
		v := newVendor(name, gate, scheme+"://"+l.Addr().String(), newShelf(c.PerDevice, c.Devices), &s.hooks)
		s.vendors[name] = v

		serve, err := s.play(name, v, c)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		s.servers = append(s.servers, server{gate, serve})
	}
	l, err := s.listen(c, "control")
	if err != nil {
		return err
	}
	s.control = "http://" + l.Addr().String()
	s.servers = append(s.servers, server{l, plain(c.Log, s.Control())})
	return nil
}

// play makes the vendor and says how it is served.
func (s *Sandbox) play(name string, v *vendor, c Config) (func(context.Context, net.Listener) error, error) {
	switch name {
	case "apns":
		s.apns = newApple(v, s.id)
		cert, err := s.id.serverTLS(c.Host, "h2") // Apple speaks HTTP/2 only
		if err == nil {
			cert.ClientAuth = tls.RequestClientCert // an app may be known by one in place of a token
		}
		return (&h2.Server{Handler: v.front(s.apns), TLS: cert}).Serve, err
	case "fcm":
		s.fcm = newGoogle(v, s.id)
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(s.fcm), cert), err
	case "huawei":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return newKit(v, s.id).serve(c.Log, cert), err
	case "honor":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newMagic(v, s.id, s.mail)), cert), err
	case "xiaomi":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newMi(v, s.id, s.mail)), cert), err
	case "webpush":
		push, err := newPusher(v, s.id)
		if err != nil {
			return nil, err
		}
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(push), cert), err
	case "oppo":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newOppo(v, s.id, s.mail)), cert), err
	case "http":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newAurora(v, s.id)), cert), err
	case "vivo":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newVivo(v, s.id, s.mail)), cert), err
	case "meizu":
		cert, err := s.id.serverTLS(c.Host, "h2", "http/1.1")
		return overTLS(c.Log, v.front(newFlyme(v, s.id, s.mail)), cert), err
	case "smpp":
		cert, err := s.id.serverTLS(c.Host)
		return wire(cert, newCentre(v, s.id, s.mail).talk), err
	case "xmpp":
		cert, err := s.id.serverTLS(c.Host)
		return wire(cert, newJabber(v, s.id, s.mail).talk), err
	default:
		s.sms = newCarrier(v, s.id, s.mail)
		return plain(c.Log, v.front(s.sms)), nil
	}
}

// plain serves HTTP.
func plain(log *slog.Logger, h http.Handler) func(context.Context, net.Listener) error {
	return func(ctx context.Context, on net.Listener) error {
		srv := newServer(log, h)
		context.AfterFunc(ctx, func() { _ = srv.Close() })
		return srv.Serve(on)
	}
}

// overTLS serves HTTP/2, or HTTP/1.1 to those who ask for it.
func overTLS(log *slog.Logger, h http.Handler, cert *tls.Config) func(context.Context, net.Listener) error {
	return func(ctx context.Context, on net.Listener) error {
		srv := newServer(log, h)
		srv.TLSConfig = cert
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			"h2": func(_ *http.Server, c *tls.Conn, h http.Handler) { (&h2.Server{Handler: h}).ServeConn(ctx, c) },
		}
		context.AfterFunc(ctx, func() { _ = srv.Close() })
		return srv.ServeTLS(on, "", "")
	}
}

// listen opens the asked port, or the last one, or any.
func (s *Sandbox) listen(c Config, name string) (net.Listener, error) {
	if port := c.Ports[name]; port != 0 {
		l, err := listenTCP(net.JoinHostPort(c.Host, fmt.Sprint(port)))
		if err != nil {
			return nil, fmt.Errorf("sandbox: %s: %w", name, err)
		}
		s.id.Addresses[name] = l.Addr().String()
		return l, nil
	}
	if last := s.id.Addresses[name]; last != "" {
		if host, _, err := net.SplitHostPort(last); err == nil && host == c.Host {
			if l, err := listenTCP(last); err == nil {
				return l, nil
			}
		}
	}
	l, err := listenTCP(net.JoinHostPort(c.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("sandbox: %s: %w", name, err)
	}
	s.id.Addresses[name] = l.Addr().String()
	return l, nil
}

// listenTCP takes no context: to bind an address of this machine waits for nobody.
func listenTCP(addr string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
}

func newServer(log *slog.Logger, h http.Handler) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000},
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	return srv
}

// Run serves the vendors and the control API until ctx ends. Requests under
// way are cut off then, as with any vendor that falls over.
func (s *Sandbox) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, srv := range s.servers {
		group.Go(func() error {
			err := srv.serve(ctx, srv.on)
			if err == nil || errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("sandbox: %w", err)
		})
	}
	group.Go(func() error { s.mail.run(ctx); return nil })
	group.Go(func() error { <-ctx.Done(); return s.close() })
	return group.Wait()
}

func (s *Sandbox) close() error {
	var errs []error
	for _, srv := range s.servers {
		if err := srv.on.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// URL is where a vendor listens; "" for a name that is not one of [Vendors].
func (s *Sandbox) URL(vendor string) string {
	if v := s.vendors[vendor]; v != nil {
		return v.url
	}
	return ""
}

// ControlURL is where [Sandbox.Run] serves the control API, without the path.
func (s *Sandbox) ControlURL() string { return s.control }

// CA is the certificate, in PEM, under which the vendors speak TLS.
func (s *Sandbox) CA() string { return s.id.CA }

// Credentials is what PUT /v1/apps/{app}/providers/{provider} takes to reach a
// vendor of the sandbox; nil for a name that is not one of [Vendors].
func (s *Sandbox) Credentials(vendor string) json.RawMessage {
	var c map[string]any
	switch vendor {
	case "apns":
		c = map[string]any{
			"endpoint": s.URL(vendor), "ca": s.id.CA, "topic": apnsTopic,
			"key_id": apnsKeyID, "team_id": apnsTeamID, "key": s.id.APNsKey,
		}
	case "fcm":
		c = map[string]any{
			"endpoint": s.URL(vendor), "ca": s.id.CA,
			"service_account": map[string]string{
				"type": "service_account", "project_id": fcmProject, "private_key_id": "sandbox",
				"private_key": s.id.FCMKey, "client_email": fcmEmail, "client_id": "1",
				"token_uri": s.URL(vendor) + "/token",
			},
		}
	case "sms":
		c = map[string]any{
			"endpoint": s.URL(vendor), "account": smsAccount, "secret": s.id.SMSSecret,
			"from": smsFrom, "price_per_segment": 0.0079,
		}
	case "huawei":
		c = huaweiCredentials(s)
	case "honor":
		c = honorCredentials(s)
	case "xiaomi":
		c = s.xiaomiCredentials()
	case "webpush":
		c = s.id.pushCredentials(s.URL(vendor))
	case "oppo":
		c = s.oppoCredentials()
	case "http":
		c = s.jpushCredentials()
	case "vivo":
		c = s.vivoCredentials()
	case "meizu":
		c = s.meizuCredentials()
	case "smpp":
		c = s.smppCredentials()
	case "xmpp":
		c = s.xmppCredentials()
	default:
		return nil
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil // strings and numbers always encode
	}
	return text
}

// OnShow has f called with every message that a device shows, until remove is
// called. The vendor's answer waits for f, so it must be quick; it may be
// called from many goroutines at once.
func (s *Sandbox) OnShow(f func(Message)) (remove func()) { return s.hooks.add(f) }

// Set changes a vendor's settings, as PUT on the control API does.
func (s *Sandbox) Set(vendor string, to Settings) error {
	v := s.vendors[vendor]
	if v == nil {
		return fmt.Errorf("sandbox: no vendor is named %q", vendor)
	}
	if err := v.set(to); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// ReportTo tells a vendor that is told once, in its console, where receipts go:
// Huawei and Honor. The others hear it with each message.
func (s *Sandbox) ReportTo(vendor, address string) {
	if v := s.vendors[vendor]; v != nil {
		v.reports.Store(&address)
	}
}

// Counts are what a vendor has seen.
func (s *Sandbox) Counts(vendor string) Counts {
	if v := s.vendors[vendor]; v != nil {
		return v.counts.snapshot()
	}
	return Counts{}
}

// Shows is what a device shows, newest last.
func (s *Sandbox) Shows(vendor, token string) []Message {
	v := s.vendors[vendor]
	if v == nil {
		return nil
	}
	_, rs := v.shelf.device(deviceOf(vendor, token))
	return messages(vendor, rs)
}

// Kill declares a device's token dead since then: its app was deleted.
func (s *Sandbox) Kill(vendor, token string, since time.Time) {
	if v := s.vendors[vendor]; v != nil {
		v.kill(deviceOf(vendor, token), since)
	}
}

func messages(vendor string, rs []record) []Message {
	ms := make([]Message, len(rs))
	for i := range rs {
		ms[i] = rs[i].message(vendor)
	}
	return ms
}
