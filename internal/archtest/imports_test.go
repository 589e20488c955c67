// Package archtest holds the floor plan of the house as tests: which room may
// import which, where each vendor's SDK lives, and that every room says what it
// is for.
package archtest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/herald-push/herald"

// mayImport is the floor plan: the rooms each room may import. A room may
// always import itself. Only cmd, which wires everything, is not listed.
var mayImport = map[string][]string{
	"push":        {},
	"api":         {"push", "im", "gateway", "places"},
	"scheduler":   {"push"},
	"selector":    {"push"},
	"analytics":   {"push"},
	"gateway":     {"push"},
	"places":      {"push"},
	"providers":   {"push"},
	"providers/*": {"push", "providers"},
	"webhooks":    {"push"},
	"longconn":    {},
	"web":         {},
	"im":          {},
	"im/access":   {"im", "longconn"},
	"im/logic":    {"im", "push"},
	"im/routing":  {"im"},
	"im/link":     {"im"},
	"im/data":     {"im"},
	"internal":    {"push"},
	"client":      {},
}

// guests are packages that need more than their room may have: the demo fleet
// plays devices and callers from outside, the vendors' SDKs are given a better
// engine, the sandbox reads short messages with the codec of those who send
// them, and the servers of tests all say alike what they lack.
var guests = map[string][]string{
	"api":                     {"internal/audience", "internal/wording", "internal/strictjson"},
	"gateway":                 {"internal/strictjson"},
	"places":                  {"internal/strictjson"},
	"providers/providertest":  {"internal/freeport", "internal/h2"},
	"providers":               {"internal/h2", "internal/strictjson"},
	"providers/custom":        {"internal/publicnet"},
	"providers/webpush":       {"internal/publicnet"},
	"providers/sandbox":       {"internal/h2", "internal/smstext", "providers/smpp/pdu"},
	"providers/sms":           {"internal/smstext"},
	"providers/smpp":          {"internal/smstext"},
	"scheduler":               {"internal/redisstore"},
	"internal/clickhousetest": {"internal/chdb", "internal/child", "internal/need"},
	"internal/postgrestest":   {"internal/need"},
	"internal/sqlstore":       {"internal/audience", "internal/database"},
	"im/data":                 {"internal/database"},
	"webhooks":                {"internal/database", "internal/publicnet"},
	"internal/redistest":      {"internal/freeport", "internal/need"},
	"internal/demo":           {"client", "push", "providers/sandbox", "longconn"},
}

// homes says where each foreign module may be imported, tests aside.
var homes = map[string][]string{
	"github.com/sideshow/apns2":        {"providers/apns"},
	"firebase.google.com/go/v4":        {"providers/fcm"},
	"github.com/labstack/echo/v4":      {"api"},
	"github.com/hibiken/asynq":         {"scheduler"},
	"github.com/ClickHouse":            {"analytics", "im/data"},
	"github.com/redis/go-redis/v9":     {"internal/redisstore", "im/routing", "im/data", "scheduler", "places", "examples/bench"},
	"google.golang.org/grpc":           {"im/link"},
	"github.com/golang/geo":            {"places"},
	"modernc.org/sqlite":               {"internal/database"},
	"github.com/jackc/pgx/v5":          {"internal/database"},
	"github.com/golang-jwt/jwt/v5":     {"internal/devicetoken", "providers"},
	"github.com/ebitengine/purego":     {"internal/chdb"},
	"github.com/coder/websocket":       {"longconn"},
	"github.com/standard-webhooks":     {"webhooks"},
	"go.opentelemetry.io/otel":         {"internal/tracing"},
	"github.com/alicebob/miniredis/v2": {"cmd"},
}

type pkg struct {
	path, dir, doc string
	imports        []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f",
		`{{.ImportPath}}|{{.Dir}}|{{.Doc}}|{{join .Imports " "}}`, module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 4)
		if len(f) == 4 {
			all = append(all, pkg{path: f[0], dir: f[1], doc: f[2], imports: strings.Fields(f[3])})
		}
	}
	if len(all) < 5 {
		t.Fatalf("go list found only %d packages: the test looks in the wrong place", len(all))
	}
	return all
}

// path is an import path below the module; ok is false if it is not ours.
func path(imp string) (string, bool) {
	return strings.CutPrefix(imp, module+"/")
}

// room is the part of the floor plan that a path below the module belongs to.
func room(p string) string {
	parts := strings.Split(p, "/")
	switch {
	case parts[0] == "im" && len(parts) > 1:
		return "im/" + parts[1]
	case parts[0] == "providers" && len(parts) > 1:
		return "providers/" + parts[1]
	default:
		return parts[0]
	}
}

func allowed(from, to string) bool {
	if slices.Contains(guests[from], to) || slices.Contains(guests[from], room(to)) {
		return true
	}
	here, there := room(from), room(to)
	if here == there && here != "internal" {
		return true
	}
	plan, ok := mayImport[here]
	if !ok && strings.HasPrefix(here, "providers/") {
		plan = mayImport["providers/*"]
	}
	return slices.Contains(plan, there)
}

func TestImportsFollowTheFloorPlan(t *testing.T) {
	for _, p := range list(t) {
		from, ok := path(p.path)
		if !ok || room(from) == "cmd" || room(from) == "examples" {
			continue
		}
		for _, imp := range p.imports {
			if to, ours := path(imp); ours && !allowed(from, to) {
				t.Errorf("%s must not import %s", from, to)
			}
		}
	}
}

func TestVendorSDKsLiveInOneRoom(t *testing.T) {
	for _, p := range list(t) {
		from, _ := path(p.path)
		if room(from) == "cmd" || strings.HasSuffix(from, "test") {
			continue
		}
		for _, imp := range p.imports {
			for sdk, rooms := range homes {
				if imp != sdk && !strings.HasPrefix(imp, sdk+"/") {
					continue
				}
				if !slices.ContainsFunc(rooms, func(r string) bool { return from == r || strings.HasPrefix(from, r+"/") }) {
					t.Errorf("%s imports %s, which lives in %v", from, imp, rooms)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if p.doc == "" && !onlyTests(t, p.dir) {
			t.Errorf("%s has no package comment", p.path)
		}
	}
}

func onlyTests(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			return false
		}
	}
	return true
}
