package custom

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestOpenTellsEveryFault(t *testing.T) {
	tests := map[string]struct {
		config string
		fields []string
	}{
		"nothing at all": {`{}`, []string{"endpoint"}},
		"many at once": {
			`{"endpoint":"http://api.example.com","method":"SEND","path":"push","format":"xml","limit_bytes":-1,
			  "headers":{"Host":"x","a b":"c"},"body":{"a":"{{.Titel}}","b":["{{"],"$x":1},"ca":"x",
			  "sign":{"kind":"rot13"},"auth":{"path":"/t"},"success":{"status":[404],"path":"ret"},
			  "codes":[{"kind":"bad"},{"code":"1","kind":"rejected","renew":true}],
			  "receipts":{"stages":{"1":"arrived"}}}`,
			[]string{
				"auth.token", "body.$x", "body.a", "body.b[0]", "ca", "codes[0].code", "codes[0].kind", "codes[1].code", "endpoint", "format",
				"headers.Host", "headers.a b", "limit_bytes", "method", "path",
				"receipts.delivery", "receipts.signature", "receipts.stage", "receipts.stages.1",
				"sign.kind", "sign.secret", "success.equals", "success.status",
			},
		},
		"misspelt fields": {
			`{"endpoint":"https://x.example","succes":{},"sign":{"kind":"bearer","secret":"s","key":"k"},"codes":[{"status":1,"kind":"quota","mean":""}]}`,
			[]string{"codes[0].mean", "sign.key", "succes"},
		},
		"a secret that is not there": {`{"endpoint":"https://x.example","headers":{"A":"{{.Vars.key}}"}}`, []string{"headers.A"}},
		"a placeholder":              {`{"endpoint":"https://x.example","vars":{"key":"<App Key>"}}`, []string{"vars.key"}},
		"a loop":                     {`{"endpoint":"https://x.example","body":"{{range 1000000000}}x{{end}}"}`, []string{"body"}},
		"another template":           {`{"endpoint":"https://x.example","body":"{{define \"a\"}}{{end}}x"}`, []string{"body"}},
		"a forbidden function":       {`{"endpoint":"https://x.example","body":"{{printf \"%1000000d\" 1}}"}`, []string{"body"}},
		"a digest without a secret":  {`{"endpoint":"https://x.example","sign":{"kind":"md5","secret":"s","over":"{{.URL}}","into":"query:s"}}`, []string{"sign.over"}},
		"basic without a colon":      {`{"endpoint":"https://x.example","sign":{"kind":"basic","secret":"s"}}`, []string{"sign.secret"}},
		"a signature for no body":    {`{"endpoint":"https://x.example","sign":{"kind":"hmac-sha1","secret":"s","over":"x","into":"body:s"}}`, []string{"sign.into"}},
		"reports anybody can forge": {
			`{"endpoint":"https://x.example","receipts":{"delivery":"id","stage":"s","stages":{"1":"delivered"},
			  "signature":{"kind":"hmac-sha1","secret":"s","over":"{{.Query \"n\"}}","from":"query:sign"}}}`,
			[]string{"receipts.signature.over"},
		},
		"a token nobody fetches": {`{"endpoint":"https://x.example","headers":{"A":"{{.Access}}"}}`, []string{"headers.A"}},
		"a token for the token": {
			`{"endpoint":"https://x.example","auth":{"path":"/{{.Access}}","token":"t"}}`, []string{"auth.path"},
		},
		"a path with a hole": {`{"endpoint":"https://x.example","message_id":"a..b","code":"*key.a"}`, []string{"code", "message_id"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New([]byte(tt.config))
			var invalid *push.Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("New() error = %v, want faults", err)
			}
			var fields []string
			for _, f := range invalid.Faults {
				fields = append(fields, f.Field)
			}
			slices.Sort(fields)
			if fields = slices.Compact(fields); !slices.Equal(fields, tt.fields) {
				t.Errorf("faults at\n%v, want\n%v\n%v", fields, tt.fields, err)
			}
		})
	}
}

func TestFaultsTellNoSecret(t *testing.T) {
	_, err := New([]byte(`{"endpoint":"https://user:s3cret@x.example","vars":{"k":"s3cret"},
		"body":{"a":"s3cret{{","b":"s3cret{{.Nothing}}"},"headers":{"X":"s3cret{{s3 cret}}"}}`))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("New() error = %v", err)
	}
	p := open(t, map[string]any{"endpoint": "https://x.example", "vars": map[string]string{"k": "s3cret"}})
	if s := p.String() + p.GoString(); strings.Contains(s, "s3cret") {
		t.Errorf("a printed provider is %s", s)
	}
}

func TestBodiesAreMadeOfTemplates(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"text":                   {`"{{.Title}}!"`, `"Shipped!"`},
		"what is no template":    {`{"a":1,"b":[true,null,12345678901234567890]}`, `{"a":1,"b":[true,null,12345678901234567890]}`},
		"a number":               {`{"n":{"$number":"{{mul 2 21}}"}}`, `{"n":42}`},
		"an empty number":        {`{"n":{"$number":""}}`, `{"n":null}`},
		"JSON":                   {`{"d":{"$json":"{{json .Data}}"}}`, `{"d":{"herald_id":"n1.0.0","herald_notification":"order-8812","order":"8812"}}`},
		"what is empty":          {`{"a":{"$optional":"{{.Collapse}}"},"b":[{"$optional":""}],"c":{"$optional":"x"}}`, `{"b":[],"c":"x"}`},
		"a field of data":        {`"{{.Data.order}}{{.Data.none}}{{index .Data \"none\"}}"`, `"8812"`},
		"conditions":             {`"{{if eq .Class \"otp\"}}high{{else}}low{{end}}{{with .Title}} {{.}}{{end}}"`, `"low Shipped"`},
		"cutting whole letters":  {`"{{cut 2 \"你好吗\"}}"`, `"你好"`},
		"what a default is for":  {`"{{default \"none\" .Collapse}}"`, `"none"`},
		"digests":                {`"{{md5 \"a\" 1}}"`, `"8a8bb7cd343aa2ad99b7d762030857a2"`},
		"a keyed digest":         {`"{{hmac_sha256 \"key\" \"The quick brown fox jumps over the lazy dog\"}}"`, `"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"`},
		"a member that begins $": {`{"a":"$b"}`, `{"a":"$b"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := open(t, map[string]any{"endpoint": "https://x.example", "body": json.RawMessage(tt.body)})
			s := p.scope([]*push.Delivery{delivery("n1.0.0")})
			v, err := p.config.send.content(s)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.config.send.encode(v)); got != tt.want {
				t.Errorf("body = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRequestsAreSigned(t *testing.T) {
	base := map[string]any{
		"endpoint": "https://x.example/api/", "path": "/{{.Token}}/send", "query": map[string]string{"b": "2 3", "z": "{{.Collapse}}"},
		"body": map[string]string{"a": "{{.Title}}"},
	}
	tests := map[string]struct {
		sign        map[string]string
		form        bool
		url, header string // a part of it, and a header's value
		body        string
	}{
		"basic": {
			map[string]string{"kind": "basic", "secret": "Aladdin:open sesame"},
			false, "/api/a%2F..%2Fb%3F/send?b=2+3&z=", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", `{"a":"Shipped"}`,
		},
		"bearer elsewhere": {
			map[string]string{"kind": "bearer", "secret": "s3", "into": "header:Authorization"},
			false, "/send", "Bearer s3", `{"a":"Shipped"}`,
		},
		"a digest of the fields by name": {
			map[string]string{"kind": "md5", "secret": "s3", "over": `{{.Sorted "=" "&"}}{{.Secret}}`, "into": "body:sign"},
			true, "/send", "", "a=Shipped&sign=" + sum("a=Shipped&b=2 3s3"),
		},
		"a digest of all of it": {
			map[string]string{"kind": "md5", "secret": "s3", "over": "{{.Method}}{{.URL}}{{.RequestBody}}{{.Secret}}", "into": "query:sign"},
			false, "sign=" + sum(`POSThttps://x.example/api/a%2F..%2Fb%3F/send?b=2+3&z={"a":"Shipped"}s3`), "", `{"a":"Shipped"}`,
		},
		"a keyed digest in base64": {
			map[string]string{"kind": "hmac-sha256", "secret": "key", "over": "The quick brown fox jumps over the lazy dog", "into": "header:Authorization", "encoding": "base64"},
			false, "/send", "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=", `{"a":"Shipped"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := maps.Clone(base)
			c["sign"] = tt.sign
			if tt.form {
				c["format"] = "form"
			}
			p := open(t, c)
			d := delivery("n1.0.0")
			d.Address.Token = "a/../b?"
			s := p.scope([]*push.Delivery{d})
			content, _ := p.config.send.content(s)
			req, err := p.config.send.request(t.Context(), s, content)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, req.ContentLength)
			_, _ = req.Body.Read(body)
			if req.URL.Host != "x.example" || !strings.Contains(req.URL.String(), tt.url) {
				t.Errorf("address = %s, want one with %s", req.URL, tt.url)
			}
			if got := req.Header.Get("Authorization"); got != tt.header {
				t.Errorf("header = %q, want %q", got, tt.header)
			}
			if string(body) != tt.body {
				t.Errorf("body = %s, want %s", body, tt.body)
			}
		})
	}
}

func TestMessagesCannotBreakOut(t *testing.T) {
	tests := map[string]map[string]any{
		"of a header": {"headers": map[string]string{"X-Title": "{{.Title}}"}},
		"of the path": {"path": "/{{.Data.up}}/x"},
		"of a number": {"body": map[string]any{"n": map[string]string{"$number": "{{.Title}}"}}},
		"of JSON":     {"body": map[string]any{"n": map[string]string{"$json": "{{.Title}}"}}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			c["endpoint"] = "https://x.example"
			d := delivery("n1.0.0")
			d.Title, d.Data = "1\r\nX-Evil: 1", map[string]string{"up": ".."}
			_, err := open(t, c).Send(t.Context(), d)
			if !errors.Is(err, push.ErrRejected) {
				t.Errorf("Send() error = %v, want rejected", err)
			}
		})
	}
}

func TestAnswersAreRead(t *testing.T) {
	config := map[string]any{
		"endpoint": "https://x.example", "vars": map[string]string{"k": "s3cret"},
		"success": map[string]any{"path": "code", "equals": []any{0, "OK"}}, "message_id": "data.0.id",
		"dead_tokens": []string{"data.*.dead", "gone.*key"}, "code": []string{"error.code", "code"}, "reason": "error.text",
		"codes": []map[string]any{
			{"code": 7, "contains": "Daily", "kind": "quota", "retry_after": "error.wait"},
			{"code": []any{7, 8}, "kind": "throttled", "retry_after_seconds": 3},
			{"code": "-1", "kind": "unavailable", "means": "busy"},
		},
	}
	a := open(t, config).config.answers
	tests := map[string]struct {
		status int
		body   string
		want   string // the kind, "" for accepted, "dead" or "foreign"
		detail string
	}{
		"taken":                             {200, `{"code":0,"data":[{"id":123456789012345678901}]}`, "", ""},
		"taken in another word":             {201, `{"code":"OK"}`, "", ""},
		"taken, and the token is dead":      {200, `{"code":0,"data":[{"dead":["x","tok"]}]}`, "dead", ""},
		"taken, and the token is a key":     {200, `{"code":0,"gone":{"tok":1}}`, "dead", ""},
		"taken, and another token is dead":  {200, `{"code":0,"data":[{"dead":"tokens"}]}`, "", ""},
		"used up for the day":               {200, `{"error":{"code":7,"text":"the DAILY limit","wait":60}}`, "quota", "7"},
		"too fast":                          {400, `{"error":{"code":7,"text":"slow down"}}`, "throttled", "7"},
		"a negative word":                   {500, `{"code":-1}`, "unavailable", "busy"},
		"an unknown word":                   {200, `{"code":99}`, "rejected", "99"},
		"a word that is a secret":           {400, `{"code":"xs3cretx"}`, "rejected", ""},
		"no word, but a status":             {429, ``, "throttled", ""},
		"no word and a status of ours":      {401, `{}`, "credentials", ""},
		"no word and a broken service":      {503, `[]`, "unavailable", ""},
		"a page":                            {200, `<html>`, "foreign", ""},
		"a bare word":                       {200, `"ok"`, "foreign", ""},
		"a success that says nothing known": {200, `{"hello":1}`, "foreign", ""},
		"a redirect":                        {302, ``, "foreign", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := a.read(tt.status, []byte(tt.body))
			got, detail := "", ""
			switch {
			case v.foreign:
				got = "foreign"
			case v.accepted && v.named(a.dead)["tok"]:
				got = "dead"
			case !v.accepted:
				e := v.refusal([]string{"s3cret"})
				got, detail = push.KindName(e), e.Detail
			}
			if got != tt.want || detail != tt.detail {
				t.Errorf("read() = %s (%s), want %s (%s)", got, detail, tt.want, tt.detail)
			}
		})
	}
	if v := a.read(200, []byte(tests["taken"].body)); v.id != "123456789012345678901" {
		t.Errorf("id = %s", v.id)
	}
	v := a.read(200, []byte(tests["used up for the day"].body))
	if e := v.refusal(nil); e.RetryAfter.Seconds() != 60 {
		t.Errorf("RetryAfter = %v, want the answer's minute", e.RetryAfter)
	}
}

func TestPrivateAddressesAreNotConnectedTo(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	for _, endpoint := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), strings.Replace(srv.URL, "127.0.0.1", "LocalHost", 1)} {
		p := open(t, map[string]any{"endpoint": endpoint, "body": "x"})
		_, err := p.Send(t.Context(), delivery("n1.0.0"))
		if !errors.Is(err, errPrivate) || !errors.Is(err, push.ErrUnavailable) {
			t.Errorf("%s: Send() error = %v, want %v", endpoint, err, errPrivate)
		}
	}
}

func TestEveryFieldOfTheConfigurationIsExplained(t *testing.T) {
	fields := slices.Collect(maps.Keys(fieldsOf(reflect.TypeFor[config]())))
	for _, b := range Examples() {
		var c map[string]json.RawMessage
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		for _, needed := range []string{"source", "date", "notes"} {
			if len(c[needed]) == 0 {
				t.Errorf("an example lacks %s", needed)
			}
		}
		for key := range c {
			if !slices.Contains(fields, key) {
				t.Errorf("%s is no field", key)
			}
		}
	}
}
