package gateway

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestAnAnswerIsWrittenAsEncodingJSONWould(t *testing.T) {
	for name, a := range map[string]Answer{
		"plain":        {Version: 2, Output: json.RawMessage(`{"a":"<b>"}`), ETag: "x-_1"},
		"not modified": {Version: 12, ETag: "x", NotModified: true},
		"all of it": {
			Version: 1, Output: json.RawMessage(`[]`), Page: &NextPage{"Mg"}, Partial: []Missing{{"firm", CodeTimeout}},
			Deprecated: &Deprecation{Since: "2026-01-01", Sunset: "2026-12-01", Use: 2}, Cached: "stale", ETag: "x",
		},
	} {
		want, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var x, y any
		got := a.AppendJSON([]byte{})
		if json.Unmarshal(want, &x) != nil || json.Unmarshal(got, &y) != nil || !reflect.DeepEqual(x, y) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
