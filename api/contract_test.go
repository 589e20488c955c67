package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

var update = flag.Bool("update", false, "write the server's answers into testdata/contract")

// exchange is one request with the answer to it, as the SDKs are tested with
// it too. In the answer's body "{any}" stands for whatever was made up.
type exchange struct {
	Name    string `json:"name"`
	Request struct {
		Method string          `json:"method"`
		Path   string          `json:"path"`
		Auth   string          `json:"auth"` // key, token or none
		Body   json.RawMessage `json:"body,omitempty"`
	} `json:"request"`
	Response struct {
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body,omitempty"`
	} `json:"response"`
}

func TestDocumentIsSound(t *testing.T) {
	loadDocument(t)
}

func TestEveryRouteIsInTheDocumentAndViceVersa(t *testing.T) {
	doc, _ := loadDocument(t)
	var documented, routed []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	for _, r := range open(t).echo.Routes() {
		routed = append(routed, r.Method+" "+plainPath(r.Path))
	}
	for _, r := range routed {
		if !slices.Contains(documented, r) {
			t.Errorf("%s is served and not in openapi.yaml", r)
		}
	}
	for _, d := range documented {
		if !slices.Contains(routed, d) {
			t.Errorf("%s is in openapi.yaml and not served", d)
		}
	}
}

func TestServerKeepsTheContract(t *testing.T) {
	files, err := filepath.Glob("testdata/contract/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges in testdata/contract: %v", err)
	}
	doc, router := loadDocument(t)
	covered := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			x := readExchange(t, file)
			auth := map[string]string{"key": adminKey, "token": deviceToken}[x.Request.Auth]
			got := open(t).ask(x.Request.Method, x.Request.Path, auth, string(x.Request.Body), "Content-Type", "application/json")
			if *update {
				x.Response.Status, x.Response.Body = got.status, masked(t, got.raw)
				writeExchange(t, file, x)
			}
			if got.status != x.Response.Status {
				t.Fatalf("status = %d, want %d: %s", got.status, x.Response.Status, got.raw)
			}
			compare(t, string(masked(t, got.raw)), string(x.Response.Body))
			covered[holdAgainstDocument(t, router, x, got)] = true
		})
	}
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if strings.HasPrefix(path, "/v1/") && op.OperationID != "receiveCallback" && !covered[op.OperationID] {
				t.Errorf("no exchange shows %s", op.OperationID)
			}
		}
	}
}

func loadDocument(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatalf("load openapi.yaml: %v", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return doc, router
}

// holdAgainstDocument checks the answer, and the request too unless it is one
// that the server is right to refuse. It returns the operation.
func holdAgainstDocument(t *testing.T, router routers.Router, x exchange, got answer) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), x.Request.Method, x.Request.Path, bytes.NewReader(x.Request.Body))
	r.Header.Set("Content-Type", "application/json")
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s is not in openapi.yaml: %v", x.Request.Method, x.Request.Path, err)
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	err = openapi3filter.ValidateRequest(t.Context(), in)
	if got.status < 300 && err != nil {
		t.Errorf("the document refuses what the server took: %v", err)
	}
	if got.status == http.StatusUnprocessableEntity && err == nil && !strings.Contains(x.Name, "beyond the schema") {
		t.Errorf("the document takes what the server refused; say why in the name, or make the schema stricter")
	}
	// The document cannot say what lines are; the tests of exports do.
	in.Options.ExcludeResponseBody = got.header.Get("Content-Type") == exportMedia
	if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: got.header,
		Body: io.NopCloser(strings.NewReader(got.raw)), Options: in.Options,
	}); err != nil {
		t.Errorf("the answer breaks the document: %v", err)
	}
	return route.Operation.OperationID
}

func readExchange(t *testing.T, file string) (x exchange) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &x); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return x
}

func writeExchange(t *testing.T, file string, x exchange) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(x); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil { //nolint:gosec // a fixture, for all to read
		t.Fatal(err)
	}
}

// masked puts "{any}" for what differs from run to run.
func masked(t *testing.T, raw string) json.RawMessage {
	t.Helper()
	if raw == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("the answer is not JSON: %v: %s", err, raw)
	}
	maskIn(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func maskIn(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			maskIn(e)
		}
	case map[string]any:
		for k, e := range v {
			if k == "request_id" || k == "key" {
				v[k] = "{any}"
				continue
			}
			maskIn(e)
		}
		if _, made := v["key"]; made {
			v["id"] = "{any}"
		}
	}
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	var a, b bytes.Buffer
	if got == "" && want == "" {
		return
	}
	if json.Compact(&a, []byte(got)) != nil || json.Compact(&b, []byte(want)) != nil || !sameJSON(a.Bytes(), b.Bytes()) {
		t.Errorf("answer\n got %s\nwant %s", a.String(), b.String())
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ax, _ := json.Marshal(x)
	by, _ := json.Marshal(y)
	return bytes.Equal(ax, by)
}
