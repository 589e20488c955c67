package providers

import "testing"

func TestSaysDataOnly(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"data_only":true}`: true, `{"data_only":false}`: false, `{}`: false, ``: false, `[]`: false, `{"data_only":"yes"}`: false,
	} {
		if got := SaysDataOnly([]byte(raw)); got != want {
			t.Errorf("SaysDataOnly(%s) = %v", raw, got)
		}
	}
}
