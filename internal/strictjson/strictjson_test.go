package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/strictjson"
)

type sample struct {
	Name  string          `json:"name"`
	Level *int            `json:"level"`
	Loud  *bool           `json:"loud"`
	Free  json.RawMessage `json:"free"`
	Inner *struct {
		List []string `json:"list"`
	} `json:"inner"`
}

func TestReadNamesEveryFaultAtOnce(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"all is well":         {`{"name":"a","level":1,"loud":true,"free":[1],"inner":{"list":["x"]}}`, ""},
		"three at once":       {`{"nome":1,"level":"1","inner":{"list":[1]}}`, "nome level inner.list[0]"},
		"the last of two":     {`{"name":"a","name":"b"}`, "name"},
		"a name in capitals":  {`{"NAME":"a"}`, "NAME"},
		"not an object":       {`[]`, ""}, // the path of the whole is empty
		"bytes, not UTF-8":    {"{\"name\":\"\xff\"}", "name"},
		"null is left out":    {`{"name":null,"inner":null}`, ""},
		"an endless fraction": {`{"level":1.5}`, "level"},
	}
	form := strictjson.New[sample]()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, faults := form.Read([]byte(tt.body))
			var fields []string
			for _, f := range faults {
				fields = append(fields, f.Field)
			}
			if got := strings.Join(fields, " "); got != tt.want {
				t.Errorf("Read() faults = %q, want %q: %v", got, tt.want, faults.Err())
			}
			if (faults.Err() == nil) != (len(faults) == 0) {
				t.Errorf("Err() = %v for %d faults", faults.Err(), len(faults))
			}
		})
	}
}

func TestReadFillsWhatItCan(t *testing.T) {
	v, faults := strictjson.New[sample]().Read([]byte(`{"name":"a","level":2,"loud":"x","free": {"b":1}}`))
	if got := fmt.Sprintf("%s %d %s, %d faults", v.Name, *v.Level, v.Free, len(faults)); got != `a 2 {"b":1}, 1 faults` {
		t.Errorf("Read() = %s", got)
	}
}
