package sim

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func TestServeAnswersChoicesOnly(t *testing.T) {
	const talk = `H 10 6
C 1 0.5 120 3 37 0 1 0 0 0 0 1 1
S 1 0.5 3 5
R 1 1.2 3 5 0.7
K 1 3.2 3 5 1
C 2 1.5 1800 4 3 1 1 0 0 0 0 0 1
J 2 1.5 4 0 0
C 2 1.6 1800 4 2 1 1 0 0 0 0 0 2
S 2 1.6 4 1
J 9 1.7 4 1 1
. 2
T 2 601.6 4 1

Q
C 3 1.5 1800 4 3 1 1 0 0 0 0 0 1
`
	var out bytes.Buffer
	if err := Serve(strings.NewReader(talk), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("answered %q, want three lines", lines)
	}
	for i, eligible := range []int{37, 3, 2} {
		var road int
		var propensity float64
		if _, err := fmt.Sscan(lines[i], &road, &propensity); err != nil || eligible>>road&1 == 0 || propensity <= 0 || propensity > 1 {
			t.Errorf("answer %d is %q, want one of the roads %b and its propensity", i+1, lines[i], eligible)
		}
	}
}

func TestServeAnswersBeforeItReadsOn(t *testing.T) {
	questions, ask := io.Pipe()
	answers, answer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(questions, answer) }()
	buf := make([]byte, 64)
	fmt.Fprint(ask, "H 2 6\n")
	for i := range 3 {
		fmt.Fprintf(ask, "C %d 1 120 1 33 0 0 0 0 0 0 1 1\n", i)
		if n, err := answers.Read(buf); err != nil || n == 0 {
			t.Fatalf("question %d: %d bytes, %v", i, n, err)
		}
	}
	ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeNamesTheLineItDoesNotUnderstand(t *testing.T) {
	tests := map[string]struct{ talk, want string }{
		"a choice before the header": {"C 1 0 120 3 37 0 1 0 0 0 0 1 1\n", "line 1: H must come first"},
		"too few numbers":            {"H 10 6\nS 1 2\n", `line 2: 'S' has 2 numbers, want 4`},
		"too many numbers":           {"H " + strings.Repeat("1 ", 20) + "\n", "line 1: too many numbers"},
		"a letter nobody knows":      {"H 10 6\nX 1\n", "line 2: 'X'"},
		"a word for a letter":        {"hello\n", `line 1: "hello" is no letter`},
		"no number":                  {"H ten 6\n", `line 1: "ten" is no number`},
		"a device that is not there": {"H 10 6\nC 1 0 120 10 37 0 1 0 0 0 0 1 1\n", "line 2: device 10"},
		"no road":                    {"H 10 6\nC 1 0 120 3 0 0 1 0 0 0 0 1 1\n", "line 2: elig 0"},
		"a road that is not there":   {"H 10 6\nC 1 0 120 3 64 0 1 0 0 0 0 1 1\n", "line 2: elig 64"},
		"too many providers":         {"H 10 60\n", "60 providers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Serve(strings.NewReader(tt.talk), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Serve() = %v, want %q in it", err, tt.want)
			}
		})
	}
}

// FuzzServe looks for lines that end the process.
func FuzzServe(f *testing.F) {
	f.Add("H 10 6\nC 1 0.5 120 3 37 0 1 0 0 0 0 1 1\nS 1 0.5 3 5\nR 1 1.2 3 5 0.7\n. 2\n")
	f.Fuzz(func(_ *testing.T, talk string) {
		if strings.Contains(talk, "e") || len(talk) > 2000 {
			return
		}
		_ = Serve(strings.NewReader(talk), io.Discard)
	})
}

func TestTheDocumentsExampleIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/selector-stdio.md")
	if err != nil {
		t.Fatal(err)
	}
	var said, want strings.Builder
	for line := range strings.Lines(string(text)) {
		if talk, ok := strings.CutPrefix(line, "> "); ok {
			said.WriteString(talk)
		}
		if answer, ok := strings.CutPrefix(line, "< "); ok {
			want.WriteString(answer)
		}
	}
	var got bytes.Buffer
	if err := Serve(strings.NewReader(said.String()), &got); err != nil || got.String() != want.String() || want.Len() == 0 {
		t.Errorf("answered %q, %v; the document says %q", got.String(), err, want.String())
	}
}
