package analytics

import (
	"reflect"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestTraceTellsTheStoryInOrder(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	at := func(ms int) time.Time { return dawn.Add(time.Duration(ms) * time.Millisecond) }
	receipt := func(ms int, device string, attempt int, provider string, stage push.Stage, source push.Source) push.Receipt {
		return push.Receipt{
			App: "demo", Notification: "n", Delivery: "n.0." + device, Device: device, Attempt: attempt, Provider: provider,
			Stage: stage, Source: source, At: at(ms), ReceivedAt: at(ms), SinceAccepted: time.Duration(ms) * time.Millisecond,
		}
	}
	refused := receipt(10, "1", 1, "apns", push.Failed, push.VendorReply)
	refused.Kind, refused.Code, refused.Detail, refused.Why = "rejected", "400", "BadTopic", "best for ios"
	refused.Took = 1500 * time.Microsecond
	accepted := receipt(20, "1", 2, "sms", push.Accepted, push.VendorReply)
	accepted.ProviderID, accepted.CostMicros = "SM1", 45000
	clicked := receipt(40, "1", 2, "sms", push.Clicked, push.AppReport)
	delivered := receipt(40, "1", 2, "sms", push.Delivered, push.VendorCallback)
	expired := receipt(50, "2", 0, "", push.Expired, push.Herald)
	elsewhere := receipt(10, "3", 1, "apns", push.Accepted, push.VendorReply)
	elsewhere.App = "other"
	taken := receipt(10, "4", 1, "apns", push.Accepted, push.VendorReply)
	takenBack := receipt(20, "4", 1, "apns", push.Failed, push.VendorCallback)
	verdict := receipt(30, "4", 0, "", push.Failed, push.Herald)
	send(t, store, 2, []push.Receipt{clicked, expired, accepted, delivered, elsewhere, refused, delivered, verdict, takenBack, taken})

	first := push.Trace{
		ID: "n.0.1", Device: "1", Stage: push.Clicked,
		Attempts: []push.Attempt{
			{Number: 1, Provider: "apns", Stage: push.Failed, Kind: "rejected", Code: "400", Detail: "BadTopic", Why: "best for ios", At: at(10), TookMillis: 1.5},
			{Number: 2, Provider: "sms", ProviderID: "SM1", Stage: push.Accepted, At: at(20), CostMicros: 45000},
		},
		Receipts: []push.Proof{
			{Stage: push.Delivered, Source: push.VendorCallback, Provider: "sms", At: at(40), ReceivedAt: at(40), AfterMs: 40},
			{Stage: push.Clicked, Source: push.AppReport, Provider: "sms", At: at(40), ReceivedAt: at(40), AfterMs: 40},
		},
	}
	second := push.Trace{
		ID: "n.0.2", Device: "2", Stage: push.Expired, Attempts: []push.Attempt{},
		Receipts: []push.Proof{{Stage: push.Expired, Source: push.Herald, At: at(50), ReceivedAt: at(50), AfterMs: 50}},
	}
	third := push.Trace{
		ID: "n.0.4", Device: "4", Stage: push.Failed,
		Attempts: []push.Attempt{{Number: 1, Provider: "apns", Stage: push.Accepted, At: at(10)}},
		Receipts: []push.Proof{
			{Stage: push.Failed, Source: push.VendorCallback, Provider: "apns", At: at(20), ReceivedAt: at(20), AfterMs: 20},
			{Stage: push.Failed, Source: push.Herald, At: at(30), ReceivedAt: at(30), AfterMs: 30},
		},
	}
	tests := map[string]struct {
		app, device string
		limit       int
		want        []push.Trace
	}{
		"all devices":         {"demo", "", 10, []push.Trace{first, second, third}},
		"one device":          {"demo", "2", 10, []push.Trace{second}},
		"a device without it": {"demo", "3", 10, nil},
		"another app":         {"third", "", 10, nil},
		"page by page":        {"demo", "", 1, []push.Trace{first, second, third}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []push.Trace
			after := ""
			for pages := 0; pages == 0 || after != ""; pages++ {
				page, next, err := store.Trace(t.Context(), tt.app, "n", tt.device, after, tt.limit)
				if err != nil || len(page) > tt.limit {
					t.Fatalf("page of %d, error %v", len(page), err)
				}
				got, after = append(got, page...), next
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	if _, _, err := store.Trace(t.Context(), "demo", "n", "", "nonsense", 1); err == nil {
		t.Error("a bad cursor was taken")
	}
}
