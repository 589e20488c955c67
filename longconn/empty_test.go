package longconn_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

func TestANodeIsEmptiedWhileItRuns(t *testing.T) {
	t.Parallel()
	h := open(t)
	const n = 12
	var devices []*raw
	for i := range n {
		devices = append(devices, h.enter(t, mqtt.V5, fmt.Sprint("d", i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	h.Empty(ctx, 100)
	if took := time.Since(began); took < 80*time.Millisecond { // 12 at 100 a second, five at a time
		t.Errorf("all were sent away within %s", took)
	}
	for _, d := range devices {
		if reason := d.disconnected(); reason != mqtt.ServerShuttingDown {
			t.Errorf("goodbye 0x%02X", byte(reason))
		}
	}
	late := h.dial(t, mqtt.V5)
	late.Send(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Clean: true, KeepAlive: 30, ClientID: "late", Username: "late", HasUser: true, Password: []byte("sesame"), HasPass: true}))
	_, body := late.next()
	if reason, _, _, err := mqtt.DecodeConnack(body, mqtt.V5); reason != mqtt.ServerBusy || err != nil || !h.Away() {
		t.Errorf("who comes now is told 0x%02X, %v", byte(reason), err)
	}
	h.Fill()
	h.enter(t, mqtt.V5, "back")
}
