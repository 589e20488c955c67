package providers

import "testing"

// The numbers were computed apart from this code: FNV-1a in 32 bits without the
// highest. A change of them would have phones show twice what is to replace.
func TestNotifyIDStaysTheSame(t *testing.T) {
	for key, want := range map[string]int32{"": 18652613, "order-8812": 979680973, "order-8812.0.3": 39443748} {
		if got := NotifyID(key); got != want {
			t.Errorf("NotifyID(%q) = %d, want %d", key, got, want)
		}
	}
}

// The hashes of these keys are 0 and 0 with the highest bit set.
func TestNotifyIDIsNeverZero(t *testing.T) {
	for _, key := range []string{"3u25abs", "rdklaij"} {
		if got := NotifyID(key); got != 1 {
			t.Errorf("NotifyID(%q) = %d, want 1", key, got)
		}
	}
}
