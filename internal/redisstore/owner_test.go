package redisstore

import (
	"context"
	"testing"

	"github.com/herald-push/herald/push"
)

// owned is a source of one device, whose reads are counted.
type owned struct {
	Source

	user  string
	reads int
}

func (o *owned) Devices(context.Context, string, []string) ([]*push.Device, error) {
	o.reads++
	return []*push.Device{{App: "demo", ID: "d1", User: o.user}}, nil
}

func TestOwnerIsRememberedUntilTheDeviceChanges(t *testing.T) {
	rdb, source := connect(t), &owned{user: "ann"}
	d := NewDevices(rdb, source)
	asked := func(want string, reads int) {
		t.Helper()
		if got, err := d.Owner(t.Context(), "demo", "d1"); err != nil || got != want || source.reads != reads {
			t.Errorf("Owner() = %q, %v after %d reads; want %q after %d", got, err, source.reads, want, reads)
		}
	}
	asked("ann", 1)
	asked("ann", 1)
	source.user = ""
	if err := d.Changed(t.Context(), "demo", "d1"); err != nil {
		t.Fatal(err)
	}
	asked("", 2) // it is being changed: nobody remembers yet
	asked("", 3)
	if err := rdb.Del(t.Context(), ownerKey("demo", "d1")).Err(); err != nil {
		t.Fatal(err)
	}
	asked("", 4)
	asked("", 4) // nobody's, and that is remembered too
}

func TestOwnerIsFoundWithoutRedis(t *testing.T) {
	d := NewDevices(connectToTheDead(t), &owned{user: "ann"})
	if got, err := d.Owner(t.Context(), "demo", "d1"); err != nil || got != "ann" {
		t.Errorf("Owner() = %q, %v", got, err)
	}
}
