package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/herald-push/herald/internal/need"
)

// documents reads every YAML document below deploy/.
func documents(t *testing.T) map[string][]map[string]any {
	t.Helper()
	all := map[string][]map[string]any{}
	err := filepath.WalkDir("../../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		decoder := yaml.NewDecoder(bytes.NewReader(content))
		for {
			var doc map[string]any
			if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
			all[path] = append(all[path], doc)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("found only %d YAML files: the test looks in the wrong place", len(all))
	}
	return all
}

func TestKubernetesResourcesAreWhole(t *testing.T) {
	var kustomization map[string]any
	for path, docs := range documents(t) {
		if !strings.Contains(path, "kubernetes") || strings.HasSuffix(path, "/herald.yaml") {
			continue
		}
		for _, doc := range docs {
			if doc["apiVersion"] == nil || doc["kind"] == nil {
				t.Errorf("%s has a document without apiVersion or kind", path)
			}
			if doc["kind"] == "Kustomization" {
				kustomization = doc
			}
		}
	}
	resources, _ := kustomization["resources"].([]any)
	if len(resources) == 0 {
		t.Fatal("the kustomization names no resources")
	}
	for _, name := range resources {
		if _, err := os.Stat(filepath.Join("../../deploy/kubernetes", name.(string))); err != nil {
			t.Errorf("the kustomization names %v: %v", name, err)
		}
	}
}

func TestEnvironmentInManifestsIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		known["HERALD_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = true
	}
	for path, docs := range documents(t) {
		for _, doc := range docs {
			walk(doc, func(m map[string]any) {
				name, _ := m["name"].(string)
				if strings.HasPrefix(name, "HERALD_") && !known[name] {
					t.Errorf("%s sets %s, which no key of the configuration reads", path, name)
				}
			})
		}
	}
}

func TestConfigurationsInDeployAreValid(t *testing.T) {
	tests := map[string]struct {
		path string
		env  []string
	}{
		"of the compose file": {"../../deploy/herald.yaml", []string{
			"HERALD_SEALING_KEY=" + strings.Repeat("0f", 32),
		}},
		"of Kubernetes, with its secret": {"../../deploy/kubernetes/herald.yaml", []string{
			"HERALD_SEALING_KEY=" + strings.Repeat("0f", 32),
			"HERALD_REDIS_URL=redis://redis:6379/0",
			"HERALD_DATABASE_URL=postgres://postgres/herald",
			"HERALD_CLICKHOUSE_URL=clickhouse://clickhouse:9000/herald",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := loadConfig(tt.path, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// walk calls visit for every mapping below v.
func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, below := range v {
			walk(below, visit)
		}
	case []any:
		for _, below := range v {
			walk(below, visit)
		}
	}
}

// TestAlertsAskForMetricsThatAreThere keeps a renamed metric from silencing an
// alert.
func TestAlertsAskForMetricsThatAreThere(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	p := startDev(t, t.TempDir(), "--no-demo")
	p.waitDone(strings.TrimSpace(p.run("send", "--to", "device:phone-1", "--title", "one attempt")))
	shown := p.text("/metrics")
	alerts := read(t, "../../deploy/alerts.yaml")
	for _, name := range regexp.MustCompile(`\bherald_[a-z_]+`).FindAllString(alerts, -1) {
		if !strings.Contains(shown, "\n"+name+"{") && !strings.Contains(shown, "\n"+name+" ") {
			t.Errorf("an alert asks for %s, which /metrics does not show", name)
		}
	}
}
