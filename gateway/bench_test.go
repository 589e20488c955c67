package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// benchGateway is a gateway with jq on both sides, and one that keeps answers.
func benchGateway(b *testing.B) *Gateway {
	b.Helper()
	items := make([]string, 10)
	for i := range items {
		items[i] = fmt.Sprintf(`{"ref":%d,"t":"Cook number %d","place":"Lyon","low":2100,"high":2400}`, 100+i, i)
	}
	found := `{"items":[` + strings.Join(items, ",") + `],"more":false}`
	business := httptest.NewServer(http.HandlerFunc(answerJSON(found)))
	b.Cleanup(business.Close)
	d, err := ParseYAML([]byte(strings.ReplaceAll(`
app: demo
service: jobs
backends: {main: {url: BACKEND, allow_private: true, concurrency: 512}}
versions:
  1:
    operations:
      search:
        input: {type: object, required: [text], additionalProperties: false, properties: {text: {type: string, maxLength: 40}}}
        output: {type: object, required: [jobs], properties: {jobs: {type: array, items: {type: object, required: [id, title, town, pay]}}}}
        call:
          backend: main
          path: /positions
          request: "{query: {text: .text, page: 1, size: 10}}"
          response: "{jobs: [.items[] | {id: (.ref | tostring), title: .t, town: .place, pay: {from: .low, to: .high}}]}"
      popular:
        call: {backend: main, path: /positions, response: "[.items[].t]"}
        cache: {per: app, seconds: 3600}
`, "BACKEND", business.URL)))
	if err != nil {
		b.Fatal(err)
	}
	s, err := compile(d, Rules{AllowPrivate: true})
	if err != nil {
		b.Fatal(err)
	}
	g := New(DefaultConfig(), Parts{})
	g.catalog.Store(&catalog{services: map[string]map[string]*service{"demo": {"jobs": s}}})
	return g
}

func BenchmarkCall(b *testing.B) {
	for _, operation := range []string{"search", "popular"} {
		b.Run(operation, func(b *testing.B) {
			g := benchGateway(b)
			var n atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					text := "cook"
					if operation == "search" {
						text += " " + strconv.FormatInt(n.Add(1), 10)
					}
					r := Request{Service: "jobs", Operation: operation, Input: json.RawMessage(`{"text":"` + text + `"}`)}
					if _, err := g.Call(b.Context(), phone(), r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
