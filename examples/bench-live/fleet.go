//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/herald-push/herald/longconn/mqtt"
)

// fleet is many devices in one thread: as light as can be, for they share the
// machine with what is measured.
type fleet struct {
	epfd    int
	devices []*phone // by descriptor
	buf     []byte
	in      int // came in
	got     int // messages
	acked   int // of what we published
	refused int
	last    time.Time // of the last message
	again   []*phone
	took    []time.Duration
	ins     []time.Time // when devices came in
	talkers []*phone    // publishers, for Mosquitto
	wrapped []net.Conn

	// Of those that roam: where to, who comes back when, which messages came.
	addrs []netip.AddrPort
	late  []comeback
	seen  []bool
}

// phone is one of them.
type phone struct {
	fd    int
	hello []byte // to be said once connected; nil once it is
	sub   []byte // and then
	whole *phone // as it was, to try again
	part  []byte
	in    bool
	again []byte // what it says when it comes back; nil if it does not
}

func serveFleet() error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	f := &fleet{epfd: epfd, buf: make([]byte, 256<<10)}
	if _, err := os.Stdout.WriteString("{}\n"); err != nil {
		return err
	}
	return answer(f.do)
}

func (f *fleet) do(o order) (map[string]float64, error) {
	switch o.Do {
	case "connect":
		return f.connect(o)
	case "lose": // all connections, at once
		for fd, p := range f.devices {
			if p != nil {
				_ = unix.Close(fd)
				f.devices[fd] = nil
			}
		}
		f.ins = f.ins[:0]
		return nil, nil
	case "secure":
		return f.secure(o)
	case "reset":
		f.got, f.acked, f.took = 0, 0, f.took[:0]
		return nil, nil
	case "await": // o.N messages
		patience := 30.0
		if o.Seconds > 0 {
			patience = o.Seconds
		}
		err := f.serve(func() bool { return f.got >= o.N }, time.Now().Add(time.Duration(patience*float64(time.Second))))
		return f.times(), err
	case "serve": // until o.N messages have come, or for a time
		_ = f.serve(func() bool { return f.got >= o.N }, time.Now().Add(time.Duration(o.Seconds*float64(time.Second))))
		return f.times(), nil
	case "publish":
		return f.publish(o)
	case "roam":
		return f.roam(o)
	default:
		return nil, fmt.Errorf("order %q", o.Do)
	}
}

func (f *fleet) times() map[string]float64 {
	m := map[string]float64{"got": float64(f.got), "last": float64(f.last.UnixNano())}
	if len(f.took) > 0 {
		slices.Sort(f.took)
		for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1} {
			m[name] = f.took[int(float64(len(f.took)-1)*q)].Seconds() * 1000
		}
	}
	return m
}

// connect brings o.N devices in, some hundreds at a time.
func (f *fleet) connect(o order) (map[string]float64, error) {
	at, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return nil, err
	}
	phones := make([]*phone, o.N)
	mint := tokens()
	for i := range phones {
		id := device(o.First + i)
		c := mqtt.Connect{Version: mqtt.V311, Clean: true, KeepAlive: 600, ClientID: id}
		p := &phone{}
		if o.Broker {
			p.sub = mqtt.AppendSubscribe(nil, mqtt.V311, mqtt.Subscribe{ID: 1, Filters: []mqtt.Filter{{Topic: "d/" + id, QoS: 1}, {Topic: "all", QoS: 0}}})
		} else {
			token, _, err := mint.Mint(context.Background(), app, id)
			if err != nil {
				return nil, err
			}
			c.HasUser, c.Username, c.HasPass, c.Password = true, app+"/"+id, true, []byte(token)
		}
		p.hello = mqtt.AppendConnect(nil, c)
		p.again = p.hello
		phones[i] = p
	}
	const atOnce = 400
	begin, was, next := time.Now(), f.in, 0
	err = f.serve(func() bool {
		for next < len(phones) && next-(f.in-was) < atOnce {
			if e := f.dial(phones[next], at, next); e != nil {
				err = e
				return true
			}
			next++
		}
		for _, p := range f.again {
			if e := f.dial(p, at, f.refused); e != nil {
				err = e
				return true
			}
		}
		f.again = f.again[:0]
		return f.in-was >= o.N
	}, time.Now().Add(time.Minute))
	m := map[string]float64{"seconds": time.Since(begin).Seconds(), "in": float64(f.in - was), "refused": float64(f.refused)}
	if n := len(f.ins); n > 0 {
		m["most"] = f.ins[(n-1)*99/100].Sub(begin).Seconds() // 99 of 100 were in
	}
	return m, err
}

// dial begins to connect, from one of many addresses: one alone has too few
// ports.
func (f *fleet) dial(p *phone, to netip.AddrPort, i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if p.whole == nil {
		p.whole = &phone{hello: p.hello, sub: p.sub, again: p.again}
	}
	p.fd = fd
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i%16)}}); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	for fd >= len(f.devices) {
		f.devices = append(f.devices, nil)
	}
	f.devices[fd] = p
	return unix.EpollCtl(f.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)})
}

// serve lets the devices live until enough says so.
func (f *fleet) serve(enough func() bool, deadline time.Time) error {
	events := make([]unix.EpollEvent, 1024)
	for !enough() {
		n, err := unix.EpollWait(f.epfd, events, 10)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			if f.devices[ev.Fd] == nil {
				continue
			}
			f.handle(f.devices[ev.Fd], ev.Events)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d in, %d refused, %d messages when time was up", f.in, f.refused, f.got)
		}
	}
	return nil
}

func (f *fleet) handle(p *phone, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		_, _ = unix.Write(p.fd, p.hello) // where it fails, reading does
		p.hello = nil
		_ = unix.EpollCtl(f.epfd, unix.EPOLL_CTL_MOD, p.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(p.fd)})
	}
	if events&^uint32(unix.EPOLLOUT) == 0 {
		return
	}
	n, err := unix.Read(p.fd, f.buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
	case err != nil || n == 0:
		_ = unix.Close(p.fd)
		f.devices[p.fd] = nil
		switch {
		case !p.in && p.whole != nil:
			f.refused++
			f.again = append(f.again, p.whole)
		case p.in && f.seen != nil:
			f.again = append(f.again, &phone{hello: p.again, again: p.again})
		}
	default:
		f.read(p, f.buf[:n])
	}
}

func (f *fleet) read(p *phone, b []byte) {
	if len(p.part) > 0 {
		b = append(p.part, b...)
		p.part = nil
	}
	var out []byte
	for {
		h, body, n, err := mqtt.Split(b, 1<<20)
		if err != nil || n == 0 {
			break
		}
		b = b[n:]
		switch h.Type {
		case mqtt.CONNACK:
			if body[1] != 0 {
				break
			}
			if p.sub == nil {
				p.in, p.whole = true, nil
				f.came()
			}
			out = append(out, p.sub...)
			p.sub = nil
		case mqtt.SUBACK:
			p.in, p.whole = true, nil
			f.came()
		case mqtt.PUBACK:
			f.acked++
		case mqtt.PUBLISH:
			out = f.message(out, h, body)
		default: // nothing else comes
		}
	}
	if len(b) > 0 {
		p.part = append([]byte(nil), b...)
	}
	if len(out) > 0 {
		_, _ = unix.Write(p.fd, out)
	}
}

// came counts a device in.
func (f *fleet) came() {
	f.in++
	f.ins = append(f.ins, time.Now())
}

// message takes a message and acknowledges it.
func (f *fleet) message(out []byte, h mqtt.Header, body []byte) []byte {
	f.got++
	f.last = time.Now()
	rest := body[2+binary.BigEndian.Uint16(body):]
	if h.Flags&6 != 0 {
		out = append(out, 0x40, 2, rest[0], rest[1])
		rest = rest[2:]
	}
	if i := bytes.Index(rest, []byte(`{"n":"`)); i >= 0 && f.seen != nil && len(rest) >= i+16 {
		if n, err := strconv.Atoi(string(rest[i+6 : i+16])); err == nil && n < len(f.seen) {
			f.seen[n] = true
		}
		return out
	}
	if i := bytes.Index(rest, []byte(`"text":"`)); i >= 0 {
		rest = rest[i+8:]
	}
	if len(rest) >= 20 {
		if at, err := strconv.ParseInt(string(rest[:20]), 10, 64); err == nil {
			f.took = append(f.took, f.last.Sub(time.Unix(0, at)))
		}
	}
	return out
}

// publish sends o.N messages to devices of ours through a broker: as fast as
// they arrive, or at a rate.
func (f *fleet) publish(o order) (map[string]float64, error) {
	if err := f.openTalkers(o); err != nil {
		return nil, err
	}
	const atOnce = 8_000
	begin, next := time.Now(), 0
	err := f.serve(func() bool {
		for ; next < o.N; next++ {
			at := time.Now()
			if o.Rate > 0 {
				at = begin.Add(time.Duration(next) * time.Second / time.Duration(o.Rate))
				if time.Until(at) > 0 {
					break
				}
			} else if next-f.got >= atOnce {
				break
			}
			p := mqtt.Publish{Topic: "d/" + device(next%o.First), QoS: 1, ID: uint16(next%60_000 + 1), Payload: stamped(200, at)}
			if o.Broker { // to all
				p.Topic, p.QoS, p.ID = "all", 0, 0
			}
			if _, err := unix.Write(f.talkers[next%len(f.talkers)].fd, mqtt.AppendPublish(nil, mqtt.V311, p)); err != nil {
				break // full: later
			}
		}
		return f.got >= o.N || o.Broker && next >= o.N
	}, time.Now().Add(time.Minute))
	m := f.times()
	m["seconds"] = time.Since(begin).Seconds()
	return m, err
}

func (f *fleet) openTalkers(o order) error {
	if len(f.talkers) > 0 {
		return nil
	}
	at, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return err
	}
	was := f.in
	for i := range 8 {
		p := &phone{hello: mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V311, Clean: true, ClientID: fmt.Sprintf("talker-%d-%d", os.Getpid(), i)})}
		if err := f.dial(p, at, i); err != nil {
			return err
		}
		f.talkers = append(f.talkers, p)
	}
	return f.serve(func() bool { return f.in-was >= 8 }, time.Now().Add(10*time.Second))
}

// secure brings o.N devices in over TLS, one after the other in a few threads.
func (f *fleet) secure(o order) (map[string]float64, error) {
	mint := tokens()
	begin := time.Now()
	var group errgroup.Group
	group.SetLimit(8)
	f.wrapped = make([]net.Conn, o.N)
	for i := range f.wrapped {
		group.Go(func() error {
			id := device(o.First + i)
			token, _, err := mint.Mint(context.Background(), app, id)
			if err != nil {
				return err
			}
			from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%16))}
			d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: from}, Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // our own process
			c, err := d.DialContext(context.Background(), "tcp", o.Addr)
			if err != nil {
				return err
			}
			f.wrapped[i] = c
			_, err = c.Write(mqtt.AppendConnect(nil, mqtt.Connect{
				Version: mqtt.V311, Clean: true, KeepAlive: 600, ClientID: id,
				HasUser: true, Username: app + "/" + id, HasPass: true, Password: []byte(token),
			}))
			if err == nil {
				_, err = io.ReadFull(c, make([]byte, 4))
			}
			return err
		})
	}
	err := group.Wait()
	return map[string]float64{"seconds": time.Since(begin).Seconds()}, err
}
