package analytics

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestPaidTwiceCountsWhatLateProofShows(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	type seen struct {
		after    time.Duration
		attempt  int
		provider string
		stage    push.Stage
		source   push.Source
	}
	apns := seen{0, 1, "apns", push.Accepted, push.VendorReply}
	text := seen{10 * time.Second, 2, "sms", push.Accepted, push.VendorReply}
	stories := [][]seen{
		{apns, text, {20 * time.Second, 1, "apns", push.Delivered, push.AppReport}}, // paid twice
		{apns, text, {20 * time.Second, 1, "apns", push.Delivered, push.AppReport},
			{30 * time.Second, 1, "apns", push.Displayed, push.AppReport}}, // the same, once
		{apns, text, {20 * time.Second, 2, "sms", push.Delivered, push.VendorCallback}},                                                    // the text arrived
		{apns, {5 * time.Second, 1, "apns", push.Delivered, push.AppReport}},                                                               // no text was needed
		{apns, {10 * time.Second, 2, "sms", push.Failed, push.VendorReply}, {20 * time.Second, 1, "apns", push.Delivered, push.AppReport}}, // nothing was paid
	}
	var rs []push.Receipt
	for i, story := range stories {
		for _, e := range story {
			at := dawn.Add(time.Minute + e.after)
			r := push.Receipt{
				App: "demo", Notification: "n1", Delivery: push.DeliveryID("n1", 0, i), Device: fmt.Sprint("device-", i), Class: push.OTP,
				Provider: e.provider, Attempt: e.attempt, Stage: e.stage, Source: e.source,
				At: at, ReceivedAt: at, SinceAccepted: e.after,
			}
			if e.provider == "sms" && e.stage == push.Accepted {
				r.CostMicros = 7500
			}
			rs = append(rs, r, r) // evidence may come twice
		}
	}
	send(t, store, 5000, rs)
	got, err := store.PaidTwice(t.Context(), "demo", dawn, dawn.Add(time.Hour))
	if want := (TwiceRow{2, 15_000}); err != nil || got != want {
		t.Errorf("PaidTwice() = %+v, %v; want %+v", got, err, want)
	}
	if got, err := store.PaidTwice(t.Context(), "other", dawn, dawn.Add(time.Hour)); err != nil || got != (TwiceRow{}) {
		t.Errorf("another app: %+v, %v", got, err)
	}
}
