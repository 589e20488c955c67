package main

import (
	"encoding/json"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/need"
)

func TestAlertRulesHold(t *testing.T) {
	t.Parallel()
	promtool := need.Program(t, "promtool", howToGet)
	for _, args := range [][]string{
		{"check", "rules", "../../deploy/alerts.yaml"}, {"test", "rules", "../../deploy/alerts_test.yaml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEveryAlertHasATestAndARunbook(t *testing.T) {
	t.Parallel()
	alerts, tests, docs := read(t, "../../deploy/alerts.yaml"), read(t, "../../deploy/alerts_test.yaml"), read(t, "../../docs/operations.md")
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(alerts, -1)
	if len(names) < 10 {
		t.Fatalf("found only %d alerts", len(names))
	}
	for _, m := range names {
		name := m[1]
		if !strings.Contains(tests, "- name: "+name+"\n") {
			t.Errorf("%s has no test", name)
		}
		if !strings.Contains(docs, "\n### "+name+"\n") || !strings.Contains(alerts, "operations.md#"+strings.ToLower(name)+`"`) {
			t.Errorf("%s has no runbook, or does not link to it", name)
		}
	}
	for _, m := range regexp.MustCompile(`\n### (Herald\w+)\n`).FindAllStringSubmatch(docs, -1) {
		if !strings.Contains(alerts, "- alert: "+m[1]+"\n") {
			t.Errorf("the runbook %s is of no alert", m[1])
		}
	}
}

// metricsInCode are the names under which the source registers metrics.
func metricsInCode(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	made := regexp.MustCompile(`(?:Name:\s*|\w+\()"(herald_[a-z_]+)",\s*(?:Help:\s*)?"`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
			for _, m := range made.FindAllStringSubmatch(read(t, path), -1) {
				found[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 30 {
		t.Fatalf("found only %d metrics", len(found))
	}
	return found
}

func TestEveryMetricIsDocumentedAndViceVersa(t *testing.T) {
	t.Parallel()
	found := metricsInCode(t)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("\\n\\| `(herald_[a-z_]+)` \\|").FindAllStringSubmatch(read(t, "../../docs/operations.md"), -1) {
		documented[m[1]] = true
	}
	for name := range found {
		if !documented[name] {
			t.Errorf("%s is not in the table of docs/operations.md", name)
		}
	}
	for name := range documented {
		if !found[name] {
			t.Errorf("docs/operations.md has %s, which nobody registers", name)
		}
	}
}

func TestDashboardAsksForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	found := metricsInCode(t)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../deploy/grafana/herald.json")), &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("the dashboard has %d panels: %v", len(board.Panels), err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`herald_[a-z_]+`).FindAllString(target.Expr, -1) {
				if !found[strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")] {
					t.Errorf("%s asks for %s, which nobody registers", p.Title, name)
				}
			}
		}
	}
}
