package push_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/push"
)

func TestDeliveryIDLeadsBackToItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.StringMatching(`[A-Za-z0-9_:-]{1,64}`).Draw(t, "notification")
		chunk := rapid.IntRange(0, 1<<30).Draw(t, "chunk")
		index := rapid.IntRange(0, 255).Draw(t, "index")
		gotN, gotChunk, gotIndex, ok := push.ParseDeliveryID(push.DeliveryID(n, chunk, index))
		if !ok || gotN != n || gotChunk != chunk || gotIndex != index {
			t.Fatalf("got %q %d %d %v, want %q %d %d", gotN, gotChunk, gotIndex, ok, n, chunk, index)
		}
	})
}

func TestParseDeliveryIDRefusesAnythingElse(t *testing.T) {
	for _, id := range []string{"", "order", "order.1", ".0.0", "order.-1.0", "order.0.-1", "order.x.0", "order.0.x", "order.0."} {
		if n, c, i, ok := push.ParseDeliveryID(id); ok {
			t.Errorf("ParseDeliveryID(%q) = %q, %d, %d", id, n, c, i)
		}
	}
}

func TestChunkIDLeadsBackToItsChunk(t *testing.T) {
	d := push.Delivery{Notification: &push.Notification{ID: "order-8812"}, ID: push.DeliveryID("order-8812", 3, 17)}
	if n, chunk, ok := push.ParseChunkID(d.Chunk()); !ok || n != "order-8812" || chunk != 3 {
		t.Errorf("ParseChunkID(%q) = %q, %d, %v", d.Chunk(), n, chunk, ok)
	}
	if got := push.CommonID([]*push.Delivery{&d}); got != d.ID {
		t.Errorf("CommonID() of one delivery = %q, want its own", got)
	}
	if got := push.CommonID([]*push.Delivery{&d, &d}); got != "order-8812.3" {
		t.Errorf("CommonID() of two = %q, want the chunk's", got)
	}
	for _, id := range []string{"", "order", "order.", "order.x", "order.-1", ".1", "order.1.2"} {
		if n, c, ok := push.ParseChunkID(id); ok {
			t.Errorf("ParseChunkID(%q) = %q, %d", id, n, c)
		}
	}
	for id, want := range map[string]string{"order.1.2": "order", "order.1": "order", "order": "", "a.b.c.d": ""} {
		if got, ok := push.NotificationOf(id); got != want || ok != (want != "") {
			t.Errorf("NotificationOf(%q) = %q, %v, want %q", id, got, ok, want)
		}
	}
}

func TestLadderIsClimbedInOrder(t *testing.T) {
	ladder := []push.Stage{"", push.Failed, push.Unknown, push.Accepted, push.HandedOver, push.Delivered, push.Displayed, push.Clicked}
	for i, low := range ladder {
		for k, high := range ladder {
			if got, want := high.Reaches(low), k >= i; got != want {
				t.Errorf("%q.Reaches(%q) = %v, want %v", high, low, got, want)
			}
		}
	}
	for _, off := range []push.Stage{push.Expired, push.Cancelled, push.Suppressed} {
		if off.Rank() != push.Failed.Rank() {
			t.Errorf("%s ranks %d, want as failed", off, off.Rank())
		}
	}
}

func TestErrorShowsItsKindItsCauseAndItsWord(t *testing.T) {
	cause := errors.New("connection reset")
	var err error = &push.Error{Provider: "apns", Kind: push.ErrUnknown, Detail: "no answer", Err: cause}
	err = fmt.Errorf("scheduler: %w", err)
	if !errors.Is(err, push.ErrUnknown) || !errors.Is(err, cause) || errors.Is(err, push.ErrUnavailable) {
		t.Errorf("%v does not show both its kind and its cause, and no other kind", err)
	}
	if got := err.Error(); !strings.Contains(got, "apns: provider's answer never came (no answer): connection reset") {
		t.Errorf("Error() = %q", got)
	}
	if got := push.KindName(err); got != "unknown" {
		t.Errorf("KindName() = %q", got)
	}
	if got := push.KindName(nil) + push.KindName(errors.New("strange")); got != "unknown" {
		t.Errorf("KindName of nil and of a stranger = %q", got)
	}
	if push.Retryable(err) {
		t.Error("what may have been sent is not to be sent again without asking")
	}
}

func TestReplaceKeyIsTheSameForAllDevices(t *testing.T) {
	tests := map[string]struct {
		collapse, id, want string
	}{
		"the caller's key":                        {"order-8812", "n1.0.0", "order-8812"},
		"else the notification, whichever device": {"", "n1.0.17", "n1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := push.Delivery{Notification: &push.Notification{ID: "n1", CollapseKey: tt.collapse}, ID: tt.id}
			if got := d.Replace(); got != tt.want {
				t.Errorf("Replace() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextMessagesNeedTheAppsLeave(t *testing.T) {
	policy := push.Policy{SMSClasses: []push.Class{push.OTP}}
	if !policy.AllowsSMS(push.OTP) || policy.AllowsSMS(push.Marketing) || (push.Policy{}).AllowsSMS(push.OTP) {
		t.Error("the policy does not decide by class")
	}
	if !push.IsSMS("sms") || !push.IsSMS("smpp") || push.IsSMS("apns") {
		t.Error("IsSMS does not know its own")
	}
}
