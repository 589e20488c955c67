package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

var updateDocs = flag.Bool("update-docs", false, "write what the roads declare into docs/providers.md")

const (
	documentedFrom = "<!-- declared: made by go test ./cmd/herald -run Declared -update-docs -->\n"
	documentedTo   = "<!-- /declared -->\n"
)

func TestDocumentShowsWhatIsDeclared(t *testing.T) {
	const file = "../../docs/providers.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), documentedFrom)
	shown, after, ok2 := strings.Cut(rest, documentedTo)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for what is declared", file)
	}
	limitHeads, limits := limitRows(declared())
	featureHeads, features := featureRows(declared())
	want := "\n" + markdown(limitHeads, limits) + "\n" + markdown(featureHeads, features) + "\n"
	if shown == want {
		return
	}
	if !*updateDocs {
		t.Fatalf("%s is stale: go test ./cmd/herald -run Declared -update-docs", file)
	}
	if err := os.WriteFile(file, []byte(before+documentedFrom+want+documentedTo+after), 0o644); err != nil {
		t.Fatal(err)
	}
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
	for _, name := range append(slices.Collect(maps.Keys(openers("", providers.Engine(""), nil))), push.Live) {
		if !names[name] {
			t.Errorf("%s is a road and declares nothing", name)
		}
		delete(names, name)
	}
	for name := range names {
		t.Errorf("%s is declared and is no road", name)
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
