package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/internal/watched"
	"github.com/herald-push/herald/longconn/mqtt"
	"github.com/herald-push/herald/longconn/mqtt/mqtttest"
)

// shop answers what devices ask. "slow" waits until its caller has left.
type shop struct {
	*watched.State

	begun, left []string
}

func (s *shop) Call(ctx context.Context, who im.Session, service, operation string, body []byte) (int, []byte) {
	s.Change(func() { s.begun = append(s.begun, string(body)) })
	switch operation {
	case "slow":
		<-ctx.Done()
		s.Change(func() { s.left = append(s.left, string(body)) })
		return 503, []byte(`{"code":"cancelled"}`)
	case "long":
		return 200, []byte(`"` + strings.Repeat("x", 70_000) + `"`)
	}
	return 200, fmt.Appendf(nil, `%q`, who.Key()+" of "+who.User+": "+service+"."+operation+" "+string(body))
}

func (s *shop) Refuse(status int, code, _ string) []byte {
	return fmt.Appendf(nil, `{"status":%d,"code":%q}`, status, code)
}

func openShop(t *testing.T) (*world, *shop) {
	t.Helper()
	w := build(t)
	return w, w.shop
}

// ask publishes at QoS 0.
func (d *device) ask(topic, payload string, p mqtt.Properties) {
	d.t.Helper()
	d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: topic, Payload: []byte(payload), Properties: p}))
}

func TestACallIsAnsweredWhereItSaysWithItsCorrelation(t *testing.T) {
	w, _ := openShop(t)
	w.Change(func() { w.owners = map[string]string{"d1": "ann"} })
	d := w.enter(t, "d1")
	d.ask("services/jobs/search", "cook", mqtt.Properties{ResponseTopic: "answers/mine", Correlation: []byte{7, 0, 9}})
	got := d.Publish()
	if got.Topic != "answers/mine" || got.QoS != 0 || string(got.Properties.Correlation) != "\x07\x00\x09" ||
		string(got.Payload) != `"demo/d1 of ann: jobs.search cook"` || !slices.Equal(got.Properties.User, []mqtt.Pair{{Name: "status", Value: "200"}}) {
		t.Errorf("%+v %s", got, got.Payload)
	}
	d.ask("services/jobs/search/17", "cook", mqtt.Properties{})
	if got := d.Publish(); got.Topic != "answers/17" {
		t.Errorf("asked without properties, answered on %q", got.Topic)
	}
	d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: "services/jobs/search", ID: 5, QoS: 1, Payload: []byte("cook")}))
	if h, _ := d.next(); h.Type != mqtt.PUBACK {
		t.Errorf("type %d, want PUBACK", h.Type)
	}
	if got := d.Publish(); got.Topic != "answers" {
		t.Errorf("without a response topic, answered on %q", got.Topic)
	}
}

func TestWhatIsNoCallIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		topic, answerTo, id string
		want                mqtt.Reason
	}{
		"no operation":                {"services/jobs", "answers", "1", mqtt.TopicInvalid},
		"too deep":                    {"services/jobs/search/1/2", "answers", "1", mqtt.TopicInvalid},
		"an answer to another topic":  {"services/jobs/search", "inbox", "1", mqtt.TopicInvalid},
		"a topic that begins as ours": {"services/jobs/search", "answersmine", "1", mqtt.TopicInvalid},
		"a correlation without end":   {"services/jobs/search", "answers", strings.Repeat("x", 129), mqtt.TopicInvalid},
		"nowhere":                     {"servicesjobs", "answers", "1", mqtt.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := openShop(t)
			d := w.enter(t, "d1")
			d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{
				Topic: tt.topic, ID: 9, QoS: 1, Properties: mqtt.Properties{ResponseTopic: tt.answerTo, Correlation: []byte(tt.id)},
			}))
			h, body := d.next()
			if _, reason, err := mqtt.DecodeAck(h, body, mqtt.V5); h.Type != mqtt.PUBACK || reason != tt.want || err != nil {
				t.Errorf("type %d, reason 0x%02X, %v; want 0x%02X", h.Type, byte(reason), err, byte(tt.want))
			}
			if len(s.begun) > 0 {
				t.Errorf("asked: %q", s.begun)
			}
		})
	}
}

func TestOneDevicesCallsAreBounded(t *testing.T) {
	w, s := openShop(t)
	d := w.enter(t, "d1")
	code := func() string {
		var answer struct{ Code string }
		if err := json.Unmarshal(d.Publish().Payload, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Code
	}
	const most = 32
	for i := range most {
		d.ask("services/jobs/slow", fmt.Sprint(i), mqtt.Properties{Correlation: fmt.Append(nil, i)})
	}
	s.Await(t, "calls", func() bool { return len(s.begun) == most })
	d.ask("services/jobs/search", "one too many", mqtt.Properties{Correlation: []byte("more")})
	if got := code(); got != "too_many_calls" {
		t.Errorf("one too many: %q", got)
	}
	d.ask("cancel", "", mqtt.Properties{Correlation: []byte("7")})
	if got := code(); got != "cancelled" {
		t.Errorf("the cancelled one: %q", got)
	}
	s.Await(t, "the one that is cancelled", func() bool { return slices.Equal(s.left, []string{"7"}) })
	d.ask("services/jobs/slow", "again", mqtt.Properties{Correlation: []byte("8")})
	if got := code(); got != "too_many_calls" {
		t.Errorf("the same correlation twice: %q", got)
	}
	d.ask("services/jobs/search", "there is room", mqtt.Properties{Correlation: []byte("last")})
	if got := d.Publish(); !strings.Contains(string(got.Payload), "there is room") {
		t.Errorf("once there is room: %s", got.Payload)
	}
	_ = d.Close() // who goes leaves nothing behind
	s.Await(t, "the others' end", func() bool { return len(s.left) == most })
}

func TestACallEndsWithItsExpiry(t *testing.T) {
	w, s := openShop(t)
	d := w.enter(t, "d1")
	d.ask("services/jobs/slow", "a", mqtt.Properties{MessageExpiry: 1, Correlation: []byte("1")})
	if got := d.Publish(); string(got.Payload) != `{"code":"cancelled"}` {
		t.Errorf("answer %s", got.Payload)
	}
	d.ask("services/jobs/slow/2", "b", mqtt.Properties{})
	s.Await(t, "call", func() bool { return len(s.begun) == 2 })
	d.ask("cancel/2", "", mqtt.Properties{})
	if got := d.Publish(); got.Topic != "answers/2" || string(got.Payload) != `{"code":"cancelled"}` {
		t.Errorf("answer on %s: %s", got.Topic, got.Payload)
	}
}

func TestAnAnswerThatFitsIntoNoPacketIsAnError(t *testing.T) {
	w, _ := openShop(t)
	d := w.enter(t, "d1")
	d.ask("services/jobs/long", "", mqtt.Properties{Correlation: []byte("1")})
	if got := d.Publish(); string(got.Payload) != `{"status":502,"code":"answer_too_large"}` || string(got.Properties.Correlation) != "1" {
		t.Errorf("answer %s to %q", got.Payload, got.Properties.Correlation)
	}
}

func TestAClientOfMQTT3CallsByTheTopicPair(t *testing.T) {
	w, _ := openShop(t)
	d := &device{mqtttest.Dial(t, w.addr, mqtt.V311, soon), t}
	d.Send(mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V311, Clean: true, KeepAlive: 60, ClientID: "d1", HasUser: true, Username: "d1", HasPass: true, Password: []byte("demo/d1"),
	}))
	d.next()
	d.Send(mqtt.AppendPublish(nil, mqtt.V311, mqtt.Publish{Topic: "services/jobs/search/a", Payload: []byte("cook")}))
	if got := d.Publish(); got.Topic != "answers/a" || string(got.Payload) != `"demo/d1 of : jobs.search cook"` {
		t.Errorf("answer on %s: %s", got.Topic, got.Payload)
	}
}

func TestMosquittoAsks(t *testing.T) {
	program := need.Program(t, "mosquitto_rr", "apt-get install mosquitto-clients")
	w, _ := openShop(t)
	host, port, _ := net.SplitHostPort(w.addr)
	for version, topics := range map[string][2]string{
		"mqttv5":   {"services/jobs/search", "answers/rr"},
		"mqttv311": {"services/jobs/search/9", "answers/9"},
	} {
		out, err := exec.CommandContext(t.Context(), program, "-V", version, "-h", host, "-p", port, "-W", "30",
			"-i", "d1", "-u", "demo/d1", "-P", "demo/d1", "-t", topics[0], "-e", topics[1], "-m", "cook").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != `"demo/d1 of : jobs.search cook"` {
			t.Errorf("%s: %v: %s", version, err, out)
		}
	}
}
