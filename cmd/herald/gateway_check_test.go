package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkedService = `
service: jobs
backends: {main: {url: "https://jobs.example.com"}}
versions:
  1:
    operations:
      get: {call: {backend: main, path: "/jobs/{id}", response: "{title: .t}"}}
`

const recordedExchange = `{"service":"jobs","version":1,"operation":"get","caller":{"app":"demo"},"input":{"id":7},` +
	`"requests":{"":{"method":"GET","path":"/jobs/7"}},"answers":{"":{"status":200,"body":{"t":"Cook","name":"Chef"}}},"output":{"title":"Cook"}}` + "\n"

func TestGatewayCheckShowsWhatWouldDiffer(t *testing.T) {
	tests := map[string]struct {
		declaration string
		code        int
		says        []string
	}{
		"nothing":                 {checkedService, 0, []string{"1 exchanges replayed, 0 differ"}},
		"another field":           {strings.Replace(checkedService, ".t}", ".name}", 1), 1, []string{"output.title", `was "Cook"`, `is  "Chef"`}},
		"another path":            {strings.Replace(checkedService, "/jobs/{id}", "/positions/{id}", 1), 1, []string{"requests..path", "/positions/7"}},
		"the mapping fails":       {strings.Replace(checkedService, ".t}", ".t.x}", 1), 1, []string{"mapping_failed"}},
		"it is not well declared": {strings.Replace(checkedService, "backend: main", "backend: other", 1), 1, []string{"versions.1.operations.get.call.backend"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			declaration, exchanges := filepath.Join(dir, "jobs.yaml"), filepath.Join(dir, "kept.jsonl")
			for path, text := range map[string]string{declaration: tt.declaration, exchanges: recordedExchange} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			if code := run([]string{"gateway", "check", declaration, "--exchanges", exchanges}, streams{&out, &out}); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, word := range tt.says {
				if !strings.Contains(out.String(), word) {
					t.Errorf("it does not say %q:\n%s", word, &out)
				}
			}
		})
	}
}
