package access_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/longconn/mqtt"
)

// talkers is a world whose devices belong to users and talk.
func talkers(t *testing.T, owners map[string]string) *world {
	t.Helper()
	w := build(t)
	w.Change(func() { w.owners = owners })
	return w
}

func TestSessionKnowsItsUser(t *testing.T) {
	w := talkers(t, map[string]string{"d1": "ann", "d2": "ben with spaces"})
	for device, want := range map[string]string{"d1": `demo/d1 of "ann": hi`, "d2": `demo/d2 of "ben with spaces": hi`, "d3": `demo/d3 of "": hi`} {
		d := w.enter(t, device)
		d.Send(mqtt.AppendPublish(nil, mqtt.V5, mqtt.Publish{Topic: access.ChatTopic, ID: 1, QoS: 1, Payload: []byte("hi")}))
		if h, _ := d.next(); h.Type != mqtt.PUBACK {
			t.Fatalf("type %d", h.Type)
		}
		w.Await(t, "words", func() bool { return slices.Contains(w.talked, want) })
		if reason := d.report(2, `{"id":"m1","event":"displayed"}`); reason != mqtt.Success {
			t.Fatalf("report: 0x%02X", byte(reason))
		}
	}
	w.Await(t, "receipts with users", func() bool {
		return slices.ContainsFunc(w.record, func(r im.Receipt) bool { return r.Device == "d2" && r.User == "ben with spaces" })
	})
	online, err := w.router.OnlineUsers(t.Context(), "demo", []string{"ann", "ben with spaces", ""})
	if err != nil || !slices.Equal(online, []bool{true, true, false}) {
		t.Errorf("OnlineUsers() = %v, %v", online, err)
	}
}

// What is said to a person from then on reaches the device: it asks for what it
// missed once it is in.
func TestPersonsDeviceIsKnownBeforeItIsIn(t *testing.T) {
	owners := make(map[string]string)
	for i := range 200 {
		owners[fmt.Sprint("d", i)] = fmt.Sprint("u", i)
	}
	w := talkers(t, owners)
	for device, user := range owners {
		w.enter(t, device)
		if online, err := w.router.OnlineUsers(t.Context(), "demo", []string{user}); err != nil || !online[0] {
			t.Fatalf("%s is in, and OnlineUsers() = %v, %v", device, online, err)
		}
	}
}

func TestDeviceThatNobodyKnowsTheUserOfComesAgain(t *testing.T) {
	w := talkers(t, map[string]string{"!": "away"})
	if _, reason := w.connect(t, "d1", "d1", "demo/d1"); reason != mqtt.ServerUnavailable {
		t.Errorf("CONNACK 0x%02X, want 0x88", byte(reason))
	}
}

func TestDeviceOfAnotherUserComesInAnew(t *testing.T) {
	w := talkers(t, map[string]string{"d1": "ann"})
	d := w.enter(t, "d1")
	waitOnline := func(user string, want bool) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			online, err := w.router.OnlineUsers(t.Context(), "demo", []string{user})
			if err == nil && online[0] == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s online: %v, %v", user, online, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	waitOnline("ann", true)
	w.Change(func() { w.owners = map[string]string{"d1": "bob"} })
	if err := w.router.Dismiss(t.Context(), "demo", "d1"); err != nil {
		t.Fatal(err)
	}
	h, body := d.next()
	if reason, _, err := mqtt.DecodeDisconnect(body, mqtt.V5); h.Type != mqtt.DISCONNECT || reason != mqtt.NotAuthorized || err != nil {
		t.Errorf("type %d, reason 0x%02X, %v", h.Type, byte(reason), err)
	}
	w.enter(t, "d1")
	waitOnline("bob", true)
	waitOnline("ann", false)
}
