package web

import "testing"

func TestProgressCountsTowardsTheAudience(t *testing.T) {
	tests := map[string]struct {
		n         Notification
		begun, of uint64
	}{
		"being expanded":     {Notification{Audience: 200, Counts: Counts{Deliveries: 50, Accepted: 40, Failed: 2}}, 42, 200},
		"the audience grew":  {Notification{Audience: 200, Counts: Counts{Deliveries: 210, Accepted: 210}}, 210, 210},
		"nobody knows":       {Notification{Counts: Counts{Deliveries: 3, Suppressed: 1}}, 1, 3},
		"delivered was seen": {Notification{Audience: 5, Counts: Counts{Deliveries: 5, Accepted: 5, Delivered: 4, Clicked: 1}}, 5, 5},
	}
	for name, tt := range tests {
		v := notificationView{Notification: tt.n}
		if v.Begun() != tt.begun || v.Of() != tt.of {
			t.Errorf("%s: %d of %d, want %d of %d", name, v.Begun(), v.Of(), tt.begun, tt.of)
		}
	}
}
