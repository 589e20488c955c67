package live

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialLimit  = 15 * time.Second
	writeLimit = 15 * time.Second
	pongLimit  = 10 * time.Second
	keepAlive  = 1200 // s: the heartbeat is shorter
)

// line is one connection.
type line struct {
	nc    net.Conn
	ready atomic.Bool // everything missed has been pulled
	// behind asks to pull again: something that was said has not come.
	behind chan struct{}

	mu    sync.Mutex
	next  uint16
	acks  map[uint16]func() // what an acknowledgement leads to
	heard time.Time
}

// connect is one connection from its beginning to its end.
func (d *Device) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token, err := d.cfg.Token(ctx)
	if err != nil {
		return fmt.Errorf("live: token: %w", err)
	}
	l, most, in, err := d.dial(ctx, token)
	if err != nil {
		return err
	}
	defer l.nc.Close()
	defer context.AfterFunc(ctx, func() { l.nc.Close() })()
	d.mu.Lock()
	d.line, d.token = l, token.Token
	reports := append([]string(nil), d.state.Reports...)
	close(d.opened)
	d.opened = make(chan struct{})
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.line = nil
		d.mu.Unlock()
		d.forsake()
	}()
	// What comes is read at once, for the pings' sake, and waits here until what
	// was missed has been pulled. When there is no more room the server waits.
	came := make(chan packet, 256)
	ended := make(chan error, 1)
	go func() {
		defer close(came)
		ended <- d.read(ctx, l, in, came)
	}()
	var beating sync.WaitGroup
	beating.Go(func() { d.beat(ctx, l, most) })
	beating.Go(func() { d.renew(ctx, l, token) })
	defer beating.Wait()
	defer cancel()
	for _, text := range reports {
		d.bring(l, text)
	}
	if err := d.live(ctx, l, came); err != nil {
		return err
	}
	return <-ended
}

// live pulls what was missed and then takes what comes.
func (d *Device) live(ctx context.Context, l *line, came <-chan packet) error {
	if err := d.pull(ctx); err != nil {
		return err
	}
	l.ready.Store(true)
	d.tell("connected")
	d.mu.Lock()
	order, words := slices.Clone(d.order), map[string][]byte{}
	for id, a := range d.asked {
		words[id] = a.payload
	}
	watched := d.watched
	d.mu.Unlock()
	if watched != nil {
		l.publish("presence", watched, nil)
	}
	for _, id := range order {
		l.publish("im", words[id], d.expect(l, id))
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		var err error
		select {
		case p, ok := <-came:
			if !ok {
				return nil
			}
			err = d.take(ctx, l, p)
		case <-l.behind:
			err = d.pull(ctx)
		case <-look.C:
			err = d.pull(ctx)
		}
		if err != nil {
			return err
		}
	}
}

const (
	// echoLimit is how long after Herald has taken a message it may take to come
	// back with its number, before the device asks.
	echoLimit = 3 * time.Second
	// lookEvery is how often a device asks whether it has missed something, though
	// its connection stands.
	lookEvery = 15 * time.Minute
)

// expect follows the acknowledgement of a message: it is said, and comes as all
// that is said does. Should that be lost on its way, the device asks.
func (d *Device) expect(l *line, clientID string) func() {
	return func() {
		time.AfterFunc(echoLimit, func() {
			d.mu.Lock()
			waits := d.asked[clientID] != nil && d.line == l
			d.mu.Unlock()
			if !waits {
				return
			}
			select {
			case l.behind <- struct{}{}:
			default:
			}
		})
	}
}

// take takes a PUBLISH and acknowledges it.
func (d *Device) take(ctx context.Context, l *line, p packet) error {
	topic, id, payload, err := p.published()
	if err != nil {
		return err
	}
	if topic == "inbox" {
		if err := d.arrive(ctx, payload); err != nil {
			return err
		}
	}
	if id != 0 {
		l.write(pubackPacket(id))
	}
	return nil
}

// dial opens a connection and comes in.
func (d *Device) dial(ctx context.Context, token Token) (l *line, most uint16, in *bufio.Reader, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	nc, err := d.open(ctx)
	if err != nil {
		return nil, 0, nil, err
	}
	l = &line{nc: nc, acks: map[uint16]func(){}, heard: time.Now(), behind: make(chan struct{}, 1)}
	in = bufio.NewReader(nc)
	_, err = nc.Write(connectPacket(d.cfg.Device, token.Token, keepAlive))
	var p packet
	if err == nil {
		p, err = readPacket(in)
	}
	var said answer
	if err == nil {
		said, err = p.connack()
	}
	if err == nil && said.reason >= 0x80 {
		err = said.away()
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		nc.Close()
		return nil, 0, nil, fmt.Errorf("live: come in: %w", err)
	}
	return l, said.keepAlive, in, nil
}

// open opens the stream that MQTT goes over: TCP or TLS, and a WebSocket on it
// where the address is one. It ends with dialLimit.
func (d *Device) open(ctx context.Context) (nc net.Conn, err error) {
	addr := d.cfg.Addr
	if d.elsewhere != "" {
		addr, d.elsewhere = d.elsewhere, "" // once: where it was sent may be gone too
	}
	hostPort, socketURL, secure, err := split(addr)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{}
	if cfg := tlsFor(d.cfg.TLS, secure); cfg != nil && (secure || socketURL == nil) {
		nc, err = (&tls.Dialer{NetDialer: dialer, Config: cfg}).DialContext(ctx, "tcp", hostPort)
	} else {
		nc, err = dialer.DialContext(ctx, "tcp", hostPort)
	}
	if err != nil {
		return nil, fmt.Errorf("live: connect: %w", err)
	}
	_ = nc.SetDeadline(time.Now().Add(dialLimit)) // a failure shows when it is used
	if socketURL == nil {
		return nc, nil
	}
	s, err := upgrade(nc, socketURL)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return s, nil
}

// read reads until the connection ends; PUBLISH packets go on, but for answers:
// who waits for one may be the function that holds up the others.
func (d *Device) read(ctx context.Context, l *line, in *bufio.Reader, came chan<- packet) error {
	for {
		p, err := readPacket(in)
		if err != nil {
			return fmt.Errorf("live: connection: %w", err)
		}
		l.mu.Lock()
		l.heard = time.Now()
		l.mu.Unlock()
		switch p.kind {
		case typePublish:
			if d.answer(p) {
				continue
			}
			select {
			case came <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		case typePuback:
			if err := l.acked(p); err != nil {
				return err
			}
		case typeDisconnect:
			said := p.disconnect()
			if said.reason == reasonTakenOver {
				return ErrTakenOver
			}
			return fmt.Errorf("live: connection: %w", said.away())
		case typeAuth, typePingresp: // hearing them is what counts
		default:
			return errMalformed
		}
	}
}

// acked acts on an acknowledgement. Of a refusal the frame says why; what
// Herald cannot take now is said again on the next connection.
func (l *line) acked(p packet) error {
	id, reason, err := p.acked()
	if err != nil {
		return err
	}
	l.mu.Lock()
	then := l.acks[id]
	delete(l.acks, id)
	l.mu.Unlock()
	if reason == reasonQuota {
		return errors.New("live: herald cannot take it now")
	}
	if then != nil {
		then()
	}
	return nil
}

// publish sends at QoS 1; then, which may be nil, follows the acknowledgement.
func (l *line) publish(topic string, payload []byte, then func()) {
	l.mu.Lock()
	for l.next++; l.next == 0 || l.acks[l.next] != nil; l.next++ { //nolint:revive // to a free number
	}
	id := l.next
	if then == nil {
		then = func() {}
	}
	l.acks[id] = then
	l.mu.Unlock()
	l.write(publishPacket(topic, id, payload))
}

// write writes a packet; where that fails, reading does.
func (l *line) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.nc.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, err := l.nc.Write(b); err != nil {
		l.nc.Close()
	}
}

// beat pings after each silence and learns from what comes of it.
func (d *Device) beat(ctx context.Context, l *line, most uint16) {
	network := d.cfg.Network()
	for {
		d.mu.Lock()
		h := d.state.Beats[network]
		d.mu.Unlock()
		if !sleep(ctx, h.next(most)) {
			return
		}
		asked := time.Now()
		l.write(appendPacket(nil, typePingreq, 0, nil))
		if !sleep(ctx, pongLimit) {
			return
		}
		l.mu.Lock()
		well := !l.heard.Before(asked)
		l.mu.Unlock()
		h.went(well, time.Now())
		d.change(func(s *State) { s.Beats[network] = h })
		if !well {
			l.nc.Close()
			return
		}
	}
}

// renew shows a new token before the old one runs out.
func (d *Device) renew(ctx context.Context, l *line, token Token) {
	for !token.ExpiresAt.IsZero() {
		life := time.Until(token.ExpiresAt)
		if !sleep(ctx, max(time.Second, life-max(30*time.Second, life/10))) {
			return
		}
		next, err := d.cfg.Token(ctx)
		if err != nil {
			d.fault(fmt.Errorf("live: new token: %w", err))
			if !sleep(ctx, 5*time.Second) {
				return
			}
			continue
		}
		token = next
		d.mu.Lock()
		d.token = token.Token
		d.mu.Unlock()
		l.write(authPacket(token.Token))
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
