package scheduler

import (
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// What is traced says so in all its receipts: of attempts, which a worker learns
// of, and of evidence, which a door does.
func TestReceiptsCarryTheTraceOfTheirNotification(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	traced := note("n1", "phone")
	traced.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	h.enqueue(d, traced)
	h.enqueue(d, note("n2", "phone"))
	_, stop := h.work()
	h.awaitDone(d, "n1")
	h.awaitDone(d, "n2")
	stop()
	for _, id := range []string{"n1", "n2"} {
		seen := push.Receipt{App: "demo", Device: "phone", Delivery: id + ".0.0", Stage: push.Displayed, Source: push.AppReport, At: time.Now()}
		if err := d.Receive(t.Context(), []push.Receipt{seen})[0]; err != nil {
			t.Fatal(err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.receipts) != 4 {
		t.Fatalf("%d receipts, want 4: %+v", len(h.receipts), h.receipts)
	}
	for _, r := range h.receipts {
		want := map[string]string{"n1": traced.Trace}[r.Notification]
		if r.Trace != want {
			t.Errorf("the receipt %s has trace %q, want %q", r.ID, r.Trace, want)
		}
	}
}
