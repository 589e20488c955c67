package access_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/longconn/mqtt"
)

// watch publishes whom a device watches and returns the answer's reason.
func (d *device) watch(id uint16, payload string) mqtt.Reason {
	d.t.Helper()
	d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: access.PresenceTopic, ID: id, QoS: 1, Payload: []byte(payload)}))
	h, body := d.next()
	_, reason, err := mqtt.DecodeAck(h, body, mqtt.V5)
	if h.Type != mqtt.PUBACK || err != nil {
		d.t.Fatalf("type %d, %v, want PUBACK", h.Type, err)
	}
	return reason
}

// news is the next word on who is connected.
func (d *device) news() map[string]bool {
	d.t.Helper()
	p := d.Publish()
	d.Puback(p.ID)
	var f struct {
		Type  string
		Users map[string]bool
	}
	if err := json.Unmarshal(p.Payload, &f); err != nil || f.Type != "presence" {
		d.t.Fatalf("%s: %v", p.Payload, err)
	}
	return f.Users
}

func TestADeviceHearsWhoComesAndGoes(t *testing.T) {
	w := build(t, func(c *access.Config) { c.PresenceEvery = 10 * time.Millisecond })
	w.Change(func() { w.owners = map[string]string{"d1": "ann", "d2": "ben", "d3": "cat"} })
	ann, ben := w.enter(t, "d1"), w.enter(t, "d2")
	if reason := ann.watch(1, `{"users":["ben","cat"]}`); reason != mqtt.Success {
		t.Fatalf("PUBACK 0x%02X", byte(reason))
	}
	expect := func(want map[string]bool) {
		t.Helper()
		if got := ann.news(); !maps.Equal(got, want) {
			t.Errorf("news %v, want %v", got, want)
		}
	}
	expect(map[string]bool{"ben": true, "cat": false})
	w.enter(t, "d3")
	expect(map[string]bool{"cat": true})
	ben.Close()
	expect(map[string]bool{"ben": false})

	// Another list takes the place of the first, and is told in full.
	if reason := ann.watch(2, `{"users":["cat"]}`); reason != mqtt.Success {
		t.Fatalf("PUBACK 0x%02X", byte(reason))
	}
	expect(map[string]bool{"cat": true})
	if reason := ann.watch(3, `{"users":[]}`); reason != mqtt.Success {
		t.Fatalf("PUBACK 0x%02X", byte(reason))
	}
	w.enter(t, "d2")
	if err := w.push(t, "d1", "m1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if p := ann.Publish(); string(p.Payload) != "m1" {
		t.Errorf("who watches nobody hears %s", p.Payload)
	}
}

func TestWhatIsNoListIsNotWatched(t *testing.T) {
	d := build(t).enter(t, "d1")
	many, _ := json.Marshal(map[string][]string{"users": strings.Split(strings.Repeat("u,", 200)+"u", ",")})
	for i, payload := range []string{`hello`, `{"users":"ben"}`, `[]`, string(many)} {
		if reason := d.watch(uint16(i+1), payload); reason != mqtt.PayloadInvalid {
			t.Errorf("%.40s: PUBACK 0x%02X", payload, byte(reason))
		}
	}
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprint("u", i)
	}
	most, _ := json.Marshal(map[string][]string{"users": names})
	if reason := d.watch(9, string(most)); reason != mqtt.Success {
		t.Errorf("the longest list: PUBACK 0x%02X", byte(reason))
	}
	if got := d.news(); len(got) != 200 {
		t.Errorf("told of %d", len(got))
	}
}
