package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/push"
)

type sample struct {
	Name  string            `json:"name"`
	Count *int              `json:"count"`
	Size  float64           `json:"size"`
	On    bool              `json:"on"`
	Tags  []string          `json:"tags"`
	Data  map[string]string `json:"data"`
	Inner *struct {
		List []struct {
			X int `json:"x"`
		} `json:"list"`
	} `json:"inner"`
	Raw json.RawMessage `json:"raw"`
}

func TestDecodeNamesEveryFault(t *testing.T) {
	tests := map[string]struct {
		body string
		want []string // fields with faults, in order
	}{
		"all is well":                  {`{"name":"a","count":1,"size":1.5e2,"on":true,"tags":["b"],"data":{"k":"v"},"inner":{"list":[{"x":-3}]},"raw":[{"}":"]"}, 1 ]}`, nil},
		"white space everywhere":       {" \n{ \"name\" :\t\"a\" , \"tags\" : [ \"b\" , \"c\" ] , \"on\" : false }\r\n", nil},
		"null is as if left out":       {`{"name":null,"count":null,"tags":null,"data":null,"inner":null,"raw":null}`, nil},
		"null inside a list":           {`{"tags":["a",null]}`, []string{"tags[1]"}},
		"null inside a map":            {`{"data":{"k":null}}`, []string{"data.k"}},
		"names nobody knows":           {`{"nome":1,"inner":{"lost":[{"deep":{}}]}}`, []string{"nome", "inner.lost"}},
		"a name in other letters":      {`{"NAME":"a"}`, []string{"NAME"}},
		"a name twice":                 {`{"name":"a","name":"b"}`, []string{"name"}},
		"a name twice in a map":        {`{"data":{"k":"a","k":"b"}}`, []string{"data.k"}},
		"wrong types":                  {`{"name":1,"count":"1","size":"1","on":1,"tags":{},"data":[],"inner":[]}`, []string{"name", "count", "size", "on", "tags", "data", "inner"}},
		"a wrong type deep inside":     {`{"inner":{"list":[{"x":1},{"x":"two"},3]}}`, []string{"inner.list[1].x", "inner.list[2]"}},
		"a fraction for a whole":       {`{"count":1.5}`, []string{"count"}},
		"a number beyond all":          {`{"count":99999999999999999999,"size":1e999}`, []string{"count", "size"}},
		"bytes that are not UTF-8":     {"{\"name\":\"a\xff\",\"tags\":[\"ok\",\"\xc3\x28\"],\"data\":{\"k\":\"\x80\"}}", []string{"name", "tags[1]", "data.k"}},
		"a name that is not UTF-8":     {"{\"data\":{\"\xff\":\"v\"}}", []string{"data"}},
		"half of a surrogate pair":     {`{"name":"\ud83d","tags":["\udc00","\ud83dx","\ud83d\ude00"]}`, []string{"name", "tags[0]", "tags[1]"}},
		"an escaped backslash and u":   {`{"name":"\\ud83d"}`, nil},
		"quotes and brackets in texts": {`{"name":"\"}]{[","raw":"\\\""}`, nil},
	}
	f := newForm[sample]()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, fs, err := f.decode([]byte(tt.body))
			if err != nil {
				t.Fatalf("decode() error = %v", err)
			}
			var got []string
			for _, fault := range fs {
				got = append(got, fault.Field)
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("faults %v, want them at %v", fs, tt.want)
			}
		})
	}
}

func TestDecodeReadsWhatEncodingJSONReads(t *testing.T) {
	bodies := []string{
		`{"name":"a\n\u00e9 ü 😀 \ud83d\ude00","count":-7,"size":-0.25e-3,"on":true,"tags":["", "x"],"data":{"a":"1","":"2"}}`,
		`{"inner":{"list":[{"x":1},{},{"x":3}]},"raw":{"a":[1,2,{"b":null}]}}`,
		`{"raw":12.5e3,"tags":[]}`,
		`{"raw":true}`,
		`{}`,
	}
	f := newForm[sample]()
	for _, body := range bodies {
		got, fs, err := f.decode([]byte(body))
		if err != nil || fs != nil {
			t.Fatalf("decode(%s) = %v, %v", body, fs, err)
		}
		var want sample
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("decode(%s)\n got %s\nwant %s", body, a, b)
		}
	}
}

func TestDecodeRefusesWhatIsNoJSONObject(t *testing.T) {
	tests := map[string]struct{ body, code string }{
		"nothing":               {``, "malformed_json"},
		"only white space":      {" \n", "malformed_json"},
		"cut off":               {`{"name":"a`, "malformed_json"},
		"two values":            {`{} {}`, "malformed_json"},
		"a trailing comma":      {`{"name":"a",}`, "malformed_json"},
		"a list":                {`[]`, "malformed_json"},
		"a word":                {`null`, "malformed_json"},
		"ten thousand deep":     {strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), "json_too_deep"},
		"a million brackets":    {strings.Repeat("[", 1_000_000), "json_too_deep"},
		"one level too many":    {strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1), "json_too_deep"},
		"a lone quote":          {`"`, "malformed_json"},
		"a text ends in escape": {`{"name":"\`, "malformed_json"},
	}
	f := newForm[sample]()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := f.decode([]byte(tt.body))
			var r *refusal
			if !errors.As(err, &r) || r.code != tt.code || r.status != 400 {
				t.Errorf("decode() error = %v, want 400 %s", err, tt.code)
			}
		})
	}
}

func TestDecodeReportsABoundedNumberOfFaults(t *testing.T) {
	body := `{"tags":[1` + strings.Repeat(",1", 5000) + `]}`
	_, fs, err := newForm[sample]().decode([]byte(body))
	if err != nil || len(fs) != strictjson.MaxFaults {
		t.Errorf("decode() = %d faults, %v; want %d", len(fs), err, strictjson.MaxFaults)
	}
}

// FuzzDecode holds the walker against encoding/json: it never panics, and what
// it takes without a fault encoding/json reads the same way.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","count":1,"tags":["x"],"data":{"k":"v"},"inner":{"list":[{"x":1}]},"raw":[1,{}]}`,
		`{"raw":"\\\"","size":-1e5}`, `{"name":"\ud83d"}`, "{\"name\":\"\xff\"}", `[]`, `{"raw":-}`, `{"count": 1 , "on":false}`,
	} {
		f.Add([]byte(seed))
	}
	form := newForm[sample]()
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, fs, err := form.decode(raw)
		if err != nil || len(fs) > 0 {
			return
		}
		var want sample
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("taken, and encoding/json says %v", err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Fatalf("got %s, encoding/json reads %s", a, b)
		}
	})
}

func TestFaultsKeepOnePerField(t *testing.T) {
	var fs faults
	fs.add("to.device", "first")
	fs.add("to.device", "second")
	if len(fs) != 1 || fs[0].Detail != "first" {
		t.Errorf("faults = %v, want the first only", fs)
	}
	if !fs.has("to") || fs.has("to.devices") || fs.has("t") {
		t.Error("has() must find a field by itself or what is inside of it")
	}
	if _, ok := errors.AsType[*push.Invalid](fs.err()); !ok {
		t.Errorf("err() = %v, want a push.Invalid", fs.err())
	}
}
