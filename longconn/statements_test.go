package longconn

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// scene is a conversation that shows that statements of the specifications are
// kept. five and three are their numbers in MQTT 5 and 3.1.1; a scene without
// numbers for a version is not played in it.
type scene struct {
	five, three string
	play        func(*script)
}

// elsewhere are the statements that take a socket to show, and the tests that
// do.
var elsewhere = []struct{ five, three, test string }{
	{"6.0.0-1", "6.0.0-1", "TestWebSocketClientsThatDoNotSpeakMQTTAreClosed"},
	{"6.0.0-2 6.0.0-4", "6.0.0-2 6.0.0-4", "TestWebSocketCarriesPacketsInAnyFrames"},
	{"7.1.1-1", "7.1.1-2", "TestTLSIsSpoken"},
	{"7.0.0-2", "7.0.0-2", "TestMosquittoSubReceivesAndAcknowledges"},
	{"3.1.4-3", "3.1.4-2", "TestNewerConnectionTakesOver"},
	{"4.1.0-2 3.1.2-25", "", "TestSessionEndsWithItsTime"},
	{"", "7.1.1-1", "TestEveryStatementHasATest"},
	{"4.1.0-1", "4.1.0-1 4.1.0-2", "TestEngineGivesItsMemoryBack"},
}

func TestStatements(t *testing.T) {
	for name, sc := range scenes {
		for version, numbers := range map[byte]string{mqtt.V5: sc.five, mqtt.V311: sc.three} {
			if numbers == "" {
				continue
			}
			t.Run(fmt.Sprintf("%s/version %d [MQTT-%s]", name, version, strings.Join(strings.Fields(numbers), "] [MQTT-")), func(t *testing.T) {
				t.Parallel()
				s := &script{t: t, version: version, bench: newBench()}
				sc.play(s)
				if len(s.heard) > 0 {
					t.Errorf("heard at the end: %q", s.heard)
				}
			})
		}
	}
}

// TestEveryStatementHasATest compares the scenes with the list of statements.
func TestEveryStatementHasATest(t *testing.T) {
	known := statements(t)
	proved := map[string]bool{}
	prove := func(version, numbers, by string) {
		for n := range strings.FieldsSeq(numbers) {
			id := version + " MQTT-" + n
			switch binds, ok := known[id]; {
			case !ok:
				t.Errorf("%s proves %s, which is no statement", by, id)
			case binds != "server":
				t.Errorf("%s proves %s, which is listed as not binding", by, id)
			}
			proved[id] = true
		}
	}
	for name, sc := range scenes {
		prove("5", sc.five, name)
		prove("3", sc.three, name)
	}
	tests := testNames(t)
	for _, e := range elsewhere {
		if !tests[e.test] {
			t.Errorf("there is no %s", e.test)
		}
		prove("5", e.five, e.test)
		prove("3", e.three, e.test)
	}
	for id, binds := range known {
		if binds == "server" && !proved[id] {
			t.Errorf("nothing proves %s", id)
		}
	}
}

// statements reads the list: what each binds, by version and number.
func statements(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/statements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 4 || fields[3] == "" || known[fields[0]+" "+fields[1]] != "" {
			t.Fatalf("line %q", lines.Text())
		}
		known[fields[0]+" "+fields[1]] = fields[2]
	}
	if len(known) < 390 {
		t.Fatalf("%d statements", len(known))
	}
	return known
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}

// script is one side of a conversation with an engine.
type script struct {
	*bench

	t       *testing.T
	version byte
	heard   []string // packets of the server, described
	reports []string
}

func (s *script) five() bool { return s.version == mqtt.V5 }

// say sends packets and notes what comes back.
func (s *script) say(packets ...[]byte) {
	s.t.Helper()
	for _, p := range packets {
		s.feed(s.now, p)
		s.listen()
	}
}

// wire sends bytes: hexadecimal, and text in quotes.
func (s *script) wire(text string) {
	s.t.Helper()
	s.say(unhex(s.t, text))
}

func (s *script) listen() {
	s.t.Helper()
	for written := s.settle(); len(written) > 0; {
		h, body, n, err := mqtt.Split(written, 1<<20)
		if err != nil || n == 0 {
			s.t.Fatalf("wrote % x: %v", written, err)
		}
		s.heard = append(s.heard, s.describe(h, body))
		written = written[n:]
	}
}

func (s *script) describe(h mqtt.Header, body []byte) string {
	code := func(name string, r mqtt.Reason) string {
		if r == 0 {
			return name
		}
		return fmt.Sprintf("%s %02x", name, byte(r))
	}
	switch h.Type {
	case mqtt.CONNACK:
		if len(body) > 0 && body[0] > 1 {
			s.t.Errorf("reserved CONNACK flags: % x", body)
		}
		version := mqtt.V5
		if len(body) == 2 {
			version = mqtt.V311
		}
		r, present, p, err := mqtt.DecodeConnack(body, version)
		if err != nil {
			s.t.Error(err)
		}
		s.connack = p
		if present {
			return "CONNACK present"
		}
		return code("CONNACK", r)
	case mqtt.PUBLISH:
		p, err := mqtt.DecodePublish(h, body, s.version)
		if err != nil {
			s.t.Error(err)
		}
		s.last = p
		text := fmt.Sprintf("PUBLISH %s %.20s q%d", p.Topic, p.Payload, p.QoS)
		if p.QoS > 0 {
			text += fmt.Sprint(" id", p.ID)
		}
		if p.Dup {
			text += " dup"
		}
		if p.Retain {
			text += " retain"
		}
		return text
	case mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBREL, mqtt.PUBCOMP:
		id, r, err := mqtt.DecodeAck(h, body, s.version)
		if err != nil {
			s.t.Error(err)
		}
		name := map[mqtt.Type]string{mqtt.PUBACK: "PUBACK", mqtt.PUBREC: "PUBREC", mqtt.PUBREL: "PUBREL", mqtt.PUBCOMP: "PUBCOMP"}[h.Type]
		return code(fmt.Sprint(name, " ", id), r)
	case mqtt.SUBACK:
		return fmt.Sprintf("SUBACK %x", body)
	case mqtt.UNSUBACK:
		return fmt.Sprintf("UNSUBACK %x", body)
	case mqtt.PINGRESP:
		return "PINGRESP"
	case mqtt.DISCONNECT:
		r, p, err := mqtt.DecodeDisconnect(body, s.version)
		if err != nil || p.Has(mqtt.PropSessionExpiry) {
			s.t.Errorf("DISCONNECT % x: %v", body, err)
		}
		s.bye = p
		return code("DISCONNECT", r)
	case mqtt.AUTH:
		r, p, err := mqtt.DecodeAuth(body)
		if err != nil {
			s.t.Error(err)
		}
		return code("AUTH", r) + " " + p.AuthMethod
	default:
		return fmt.Sprintf("type %d % x", h.Type, body)
	}
}

// hear compares what came since the last time.
func (s *script) hear(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.heard, want) {
		s.t.Errorf("heard %q, want %q", s.heard, want)
	}
	s.heard = nil
}

// either picks by version.
func (s *script) either(five, three string) string {
	if s.five() {
		return five
	}
	return three
}

// connect comes in and hears so.
func (s *script) connect(change ...func(*mqtt.Connect)) {
	s.t.Helper()
	s.say(s.hello(change...))
	s.hear("CONNACK")
}

func (s *script) hello(change ...func(*mqtt.Connect)) []byte {
	c := mqtt.Connect{Version: s.version, Clean: true, ClientID: "d1", KeepAlive: 60}
	for _, f := range change {
		f(&c)
	}
	return mqtt.AppendConnect(nil, c)
}

// kept asks for a session that outlives its connection.
func kept(c *mqtt.Connect) {
	c.Clean = false
	if c.Version == mqtt.V5 {
		c.Properties.SessionExpiry = 100
	}
}

// again breaks the connection off and makes another for the session.
func (s *script) again() {
	s.t.Helper()
	if s.state != closed {
		s.close(Lost)
		s.listen()
	}
	left := s.park(nil, func(_ Conn, p Publication) { s.said(p) })
	log, now := s.log, s.now
	s.bench = newBench()
	s.left, s.log, s.now = left, log, now
}

func (s *script) said(p Publication) {
	s.log = append(s.log, fmt.Sprintf("will %s %s", p.Topic, p.Payload))
}

// tell has a message delivered.
func (s *script) tell(m Message) {
	s.t.Helper()
	s.deliver(s.now, m, func(err error) { s.reports = append(s.reports, fmt.Sprint(err)) })
	s.listen()
}

func (s *script) tellAll(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		s.tell(Message{ID: id, Payload: []byte(id)})
	}
}

// ends checks that the connection is over, and why.
func (s *script) ends(cause Cause) {
	s.t.Helper()
	if s.state != closed || s.cause != cause {
		s.t.Errorf("state %d, cause %s, want the end: %s", s.state, s.cause, cause)
	}
}

// happened checks what the handler was told, ignoring CONNECT.
func (s *script) happened(want ...string) {
	s.t.Helper()
	got := slices.DeleteFunc(slices.Clone(s.log), func(line string) bool { return strings.HasPrefix(line, "connect ") })
	if !slices.Equal(got, want) {
		s.t.Errorf("happened %q, want %q", got, want)
	}
	s.log = nil
}

func (s *script) puback(t mqtt.Type, id uint16, r mqtt.Reason) {
	s.t.Helper()
	s.say(mqtt.AppendAck(nil, s.version, t, id, r))
}

func (s *script) publish(topic, payload string, qos byte, id uint16) {
	s.t.Helper()
	s.say(mqtt.AppendPublish(nil, s.version, mqtt.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, ID: id}))
}

func (s *script) subscribe(filters ...mqtt.Filter) {
	s.t.Helper()
	s.say(mqtt.AppendSubscribe(nil, s.version, mqtt.Subscribe{ID: 9, Filters: filters}))
}

// fails says something that ends an open connection.
func (s *script) fails(reason string, packet []byte) {
	s.t.Helper()
	s.bench = newBench()
	s.connect()
	s.say(packet)
	if s.five() {
		s.hear("DISCONNECT " + reason)
	} else {
		s.hear()
	}
	s.ends(Malformed)
}

// after lets time pass.
func (s *script) after(d time.Duration) { s.now = s.now.Add(d) }
