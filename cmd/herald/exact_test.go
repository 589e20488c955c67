package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/providers/sandbox"
	"github.com/herald-push/herald/push"
)

// How long the crash test puts load on the installation, per round, and how
// many rounds there are HERALD_CRASH_ROUNDS says. A round's seed is logged;
// HERALD_CRASH_SEED repeats it.
const (
	crashLoad     = 5 * time.Second
	crashDevices  = 120 // every third is connected
	crashPatience = 3 * time.Minute
)

// Whatever dies and whenever: every delivery is in one outcome and they add up
// at any time, nothing that was accepted is lost, and no device shows anything
// twice. Workers and Redis are killed (-9) at random points; what the vendors
// and the connected devices got is compared with what Herald says.
func TestEverythingIsCountedExactlyThroughCrashes(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("HERALD_CRASH_ROUNDS"))
	if rounds == 0 {
		t.Skip("make crash: a round takes half a minute, for that long nobody touches what a dead worker had in hand")
	}
	seed := rand.Uint64()
	if s := os.Getenv("HERALD_CRASH_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	for i := range rounds {
		t.Run(fmt.Sprint("seed ", seed+uint64(i)), func(t *testing.T) {
			storm := newStorm(t, seed+uint64(i))
			storm.rage()
			storm.settle()
			storm.compare()
		})
	}
}

// storm is one round.
type storm struct {
	*installation
	random  *rand.Rand // of the killer alone
	seed    uint64
	workers []*program
	conn    *program

	mu       sync.Mutex
	accepted map[string][]string            // notification → devices that were asked for
	shown    map[string]map[string][]string // device → notification → what it is filed under
	looks    int
	kills    []string
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{
		installation: install(t, crashDevices), seed: seed, random: rand.New(rand.NewPCG(seed, 1)),
		accepted: map[string][]string{}, shown: map[string]map[string][]string{},
	}
	device := map[string]string{}
	for i := range crashDevices {
		device[apnsToken(deviceName(i))] = deviceName(i)
	}
	t.Cleanup(s.vendor.OnShow(func(m sandbox.Message) {
		s.show(device[m.Token], m.Data["herald_notification"], m.Data["herald_id"])  // by which apps drop repeats
		s.show(device[m.Token]+"'s tray", m.Data["herald_notification"], m.Collapse) // by which phones replace
	}))
	if err := s.vendor.Set("apns", sandbox.Settings{LatencyMs: 2, JitterMs: 40, ErrorRate: 0.02, Error: "InternalServerError"}); err != nil {
		t.Fatal(err)
	}
	s.conn = s.start("conn")
	for i := 0; i < crashDevices; i += 3 {
		s.connect(deviceName(i))
	}
	s.workers = []*program{s.start("worker"), s.start("worker")}
	return s
}

func deviceName(i int) string { return fmt.Sprintf("d%d", i) }

func (s *storm) show(device, notification, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown[device] == nil {
		s.shown[device] = map[string][]string{}
	}
	if keys := s.shown[device][notification]; !slices.Contains(keys, key) {
		s.shown[device][notification] = append(keys, key)
	}
}

// connect keeps a device on the live connection: it shows what it did not show
// before, as the SDKs do, and its acknowledgement is proof.
func (s *storm) connect(id string) {
	s.t.Helper()
	if _, err := s.herald.PutDevice(s.t.Context(), client.Device{
		ID: id, Platform: "ios", Maker: "Apple", Country: "DE",
		Addresses: []client.Address{{Provider: "live", Token: id}, {Provider: "apns", Token: apnsToken(id)}},
	}); err != nil {
		s.t.Fatal(err)
	}
	token, err := s.herald.DeviceToken(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", s.mqtt())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	link := paho.NewClient(paho.ClientConfig{
		ClientID: id, Conn: conn, OnClientError: func(error) {},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			var m struct{ ID, Notification string }
			if err := json.Unmarshal(p.Packet.Payload, &m); err == nil {
				s.show(id, m.Notification, m.ID)
			}
			return true, nil
		}},
	})
	ack, err := link.Connect(s.t.Context(), &paho.Connect{
		ClientID: id, CleanStart: true, KeepAlive: 60,
		Username: "shop/" + id, UsernameFlag: true, Password: []byte(token.Token), PasswordFlag: true,
	})
	if err != nil || ack.ReasonCode != 0 {
		s.t.Fatalf("connect %s: %v, %+v", id, err, ack)
	}
}

// mqtt is where the process with the connections takes devices.
func (s *storm) mqtt() (addr string) {
	eventually(s.t, time.Minute, "connections are taken", func() error {
		for line := range strings.Lines(s.conn.out.String()) {
			if _, rest, ok := strings.Cut(line, "mqtt="); ok && addr == "" {
				addr, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
			}
		}
		if addr == "" {
			return errors.New(s.conn.out.String())
		}
		return nil
	})
	return addr
}

// rage puts load on the installation, kills its parts, and looks at the counts
// all the while.
func (s *storm) rage() {
	ctx, cancel := context.WithTimeout(s.t.Context(), crashLoad)
	defer cancel()
	var group errgroup.Group
	for c := range 3 {
		group.Go(func() error { return s.send(ctx, c) })
	}
	group.Go(func() error { return s.look(ctx) })
	for ctx.Err() == nil {
		s.pause(ctx, 300*time.Millisecond, 1500*time.Millisecond)
		if ctx.Err() != nil {
			break
		}
		switch s.random.IntN(3) {
		case 0:
			s.kills = append(s.kills, "redis")
			s.redis.Kill()
			s.pause(ctx, 0, 500*time.Millisecond)
			s.redis.Restart()
		default:
			s.kills = append(s.kills, "worker")
			i := s.random.IntN(len(s.workers))
			s.workers[i].kill()
			s.workers[i] = s.start("worker")
		}
	}
	if err := group.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *storm) pause(ctx context.Context, least, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(least + time.Duration(s.random.Int64N(int64(most-least)))):
	}
}

// send hands notifications of all kinds in, and takes some back.
func (s *storm) send(ctx context.Context, caller int) error {
	random := rand.New(rand.NewPCG(s.seed, uint64(100+caller)))
	impatient := *s.herald
	impatient.Tries = 1
	classes := []client.Class{client.OTP, client.Transactional, client.Marketing}
	for i := 0; ctx.Err() == nil; i++ {
		n := client.Notification{
			ID: fmt.Sprintf("n-%d-%d", caller, i), Title: "Hi", Class: classes[random.IntN(len(classes))],
		}
		var devices []string
		first := random.IntN(crashDevices)
		switch random.IntN(12) {
		case 0:
			n.To.All = true
			for k := range crashDevices {
				devices = append(devices, deviceName(k))
			}
		case 1, 2, 3:
			for k := range 2 + random.IntN(40) {
				devices = append(devices, deviceName((first+k)%crashDevices))
			}
			n.To.Devices = devices
		default:
			devices = []string{deviceName(first)}
			n.To.Device = devices[0]
		}
		_, err := impatient.Send(s.t.Context(), n)
		var problem *client.Problem
		switch {
		case err == nil:
			s.mu.Lock()
			s.accepted[n.ID] = devices
			s.mu.Unlock()
		case errors.As(err, &problem) && problem.Status == http.StatusServiceUnavailable:
			continue // nobody knows whether it was taken; it is not counted on
		default:
			return fmt.Errorf("send: %w", err)
		}
		if random.IntN(20) == 0 {
			if _, err := impatient.Cancel(s.t.Context(), n.ID); err != nil && !errors.As(err, &problem) {
				return fmt.Errorf("cancel: %w", err)
			}
		}
	}
	return nil
}

// look asks for counts at random and sees whether they add up.
func (s *storm) look(ctx context.Context) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		var id string
		for id = range s.accepted { // any
			break
		}
		s.mu.Unlock()
		if id == "" {
			continue
		}
		p, err := s.herald.Progress(s.t.Context(), id)
		if err != nil {
			continue // Redis is away
		}
		s.looks++
		if err := addsUp(p); err != nil {
			return err
		}
	}
	return nil
}

func addsUp(p client.Progress) error {
	o := p.Outcomes
	for _, n := range []int{o.Delivered, o.Failed, o.Expired, o.Cancelled, o.Suppressed, o.Waiting} {
		if n < 0 {
			return fmt.Errorf("%s has a negative outcome: %+v", p.ID, o)
		}
	}
	if sum := o.Delivered + o.Failed + o.Expired + o.Cancelled + o.Suppressed + o.Waiting; sum != p.Counts.Deliveries {
		return fmt.Errorf("%s: outcomes %+v add up to %d of %d deliveries", p.ID, o, sum, p.Counts.Deliveries)
	}
	return nil
}

// settle waits until every delivery has come to rest: it has left, or ended.
func (s *storm) settle() {
	open := make(map[string]bool, len(s.accepted))
	for id := range s.accepted {
		open[id] = true
	}
	eventually(s.t, crashPatience, "everything has come to rest", func() error {
		var last client.Progress
		for id := range open {
			p, err := s.herald.Progress(s.t.Context(), id)
			if err != nil {
				return err
			}
			c := p.Counts
			left := c.Accepted + c.Failed + c.Unknown + c.Expired + c.Cancelled + c.Suppressed
			if over := p.State == client.Done || p.State == client.TakenBack; over && left == c.Deliveries {
				delete(open, id)
				continue
			}
			last = p
		}
		if len(open) > 0 {
			return fmt.Errorf("%d of %d are open, such as %+v", len(open), len(s.accepted), last)
		}
		return nil
	})
}

// compare holds every delivery against what the world has seen of it.
func (s *storm) compare() {
	rdb, err := redisstore.Connect(s.redis.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer rdb.Close()
	journal := redisstore.NewJournal(rdb)
	s.mu.Lock()
	defer s.mu.Unlock()
	deliveries, lost, twice, untrue := 0, 0, 0, 0
	for id, devices := range s.accepted {
		p, err := s.herald.Progress(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := addsUp(p); err != nil {
			s.t.Error(err)
		}
		cells := s.cells(journal, id)
		if p.State != client.TakenBack && len(cells) != len(devices) {
			s.t.Errorf("%s has %d deliveries for %d devices", id, len(cells), len(devices))
		}
		var recount push.Outcomes
		for _, c := range cells {
			deliveries++
			count(&recount, c.Stage)
			keys := s.shown[c.Device][id]
			switch left := c.Stage.Reaches(push.Accepted); {
			case left && len(keys) == 0:
				lost++
				s.t.Errorf("%s is %s for %s, which never got it (%s)", id, c.Stage, c.Device, c.String())
			case !left && c.Stage != push.Unknown && len(keys) > 0:
				untrue++
				s.t.Errorf("%s is %s for %s, which has it (%s)", id, c.Stage, c.Device, c.String())
			}
		}
		if o := p.Outcomes; recount != push.Outcomes(o) {
			s.t.Errorf("%s: outcomes %+v, counted again %+v", id, o, recount)
		}
	}
	for device, notifications := range s.shown { // those too whose answer was lost
		for id, keys := range notifications {
			if len(keys) > 1 {
				twice++
				s.t.Errorf("%s shows %s %d times: %q", device, id, len(keys), keys)
			}
		}
	}
	s.t.Logf("%d notifications, %d deliveries, %d looks at counts, killed %v: lost %d, shown twice %d, untrue %d",
		len(s.accepted), deliveries, s.looks, s.kills, lost, twice, untrue)
}

// cells reads all deliveries of a notification.
func (s *storm) cells(journal *redisstore.Journal, id string) []redisstore.Cell {
	s.t.Helper()
	records, err := journal.Load(s.t.Context(), []redisstore.Ref{{App: "shop", ID: id}})
	if err != nil || records[0] == nil {
		s.t.Fatalf("%s is not in the journal: %v", id, err)
	}
	var cells []redisstore.Cell
	for k := range records[0].Chunks {
		slots, err := journal.Read(s.t.Context(), []redisstore.Chunk{{Notification: records[0].Notification, Number: k}}, [][]int{nil})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, slot := range slots[0] {
			cells = append(cells, slot.Cell)
		}
	}
	return cells
}

func count(o *push.Outcomes, s push.Stage) {
	switch {
	case s.Reaches(push.Delivered):
		o.Delivered++
	case s == push.Failed:
		o.Failed++
	case s == push.Expired:
		o.Expired++
	case s == push.Cancelled:
		o.Cancelled++
	case s == push.Suppressed:
		o.Suppressed++
	default:
		o.Waiting++
	}
}
