package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/providers"
)

var updateDocs = flag.Bool("update-docs", false, "write what the roads declare into docs/providers.md")

// generated is a part of docs/providers.md that is made from what the code says.
type generated struct {
	name string // in the comments around it
	text func(t *testing.T) string
}

func TestDocumentShowsWhatIsDeclared(t *testing.T) {
	for _, g := range []generated{
		{"declared", func(*testing.T) string {
			limitHeads, limits := limitRows(declared())
			featureHeads, features := featureRows(declared())
			return markdown(limitHeads, limits) + "\n" + markdown(featureHeads, features)
		}},
		{"codes", documentedCodes},
	} {
		t.Run(g.name, g.check)
	}
}

// check holds the document against the code, or writes it.
func (g generated) check(t *testing.T) {
	const file = "../../docs/providers.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	from := "<!-- " + g.name + ": made by go test ./cmd/herald -run Declared -update-docs -->\n"
	to := "<!-- /" + g.name + " -->\n"
	before, rest, ok := strings.Cut(string(text), from)
	shown, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for %s", file, g.name)
	}
	want := "\n" + g.text(t) + "\n"
	if shown == want {
		return
	}
	if !*updateDocs {
		t.Fatalf("%s is stale: go test ./cmd/herald -run Declared -update-docs", file)
	}
	if err := os.WriteFile(file, []byte(before+from+want+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// documentedCodes are the tables of all roads.
func documentedCodes(t *testing.T) string {
	var b strings.Builder
	tables := codes()
	for i, name := range slices.Sorted(maps.Keys(tables)) {
		var table client.Codes
		if err := json.Unmarshal(tables[name], &table); err != nil {
			t.Fatal(err)
		}
		if table.Source == "" || table.Date == "" {
			t.Errorf("the table of %s has no source or no date", name)
		}
		if i > 0 {
			b.WriteString("\n")
		}
		rows := make([][]string, 0, len(table.Codes))
		for _, c := range table.Codes {
			cells := codeCells(c, "")
			rows = append(rows, cells[:len(cells)-1])
		}
		fmt.Fprintf(&b, "### Codes of %s\n\nAs of %s, from %s.\n\n%s", name, table.Date, table.Source,
			markdown([]string{"status", "code", "kind", "retry after", "binds", "means"}, rows))
	}
	return b.String()
}

func TestEveryRoadIsDeclaredOnce(t *testing.T) {
	names := map[string]bool{}
	for _, a := range declared() {
		if names[a.Name] {
			t.Errorf("%s is declared twice", a.Name)
		}
		names[a.Name] = true
		if a.Service == "" || a.Payload == "" || a.Batch < 1 || a.Kept == "" || a.Replaces == "" || a.Proof == "" {
			t.Errorf("%s leaves something out: %+v", a.Name, a)
		}
		for f := range a.Can {
			if !slices.Contains(providers.Features[:], f) {
				t.Errorf("%s declares %q, which is no feature", a.Name, f)
			}
		}
	}
}

func TestProvidersCommandShowsTables(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"limits":   {[]string{"providers"}, []string{"provider", "apns", "4096 bytes, VoIP 5120", "Push Kit"}},
		"features": {[]string{"providers", "--features"}, []string{"Live Activities", "not yet", "–"}},
		"csv":      {[]string{"providers", "--format", "csv"}, []string{"provider,service,payload"}},
		"codes":    {[]string{"providers", "codes", "fcm", "--built-in"}, []string{"UNREGISTERED", "unregistered", "built in", "Source, as of 20"}},
		"json":     {[]string{"providers", "--format", "json"}, []string{`"name": "apns"`, `"Live Activities": "yes"`}},
	} {
		var out, errs bytes.Buffer
		if code := run(tt.args, streams{&out, &errs}); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, errs.String())
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, out.String())
			}
		}
	}
}
