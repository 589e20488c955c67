package redistest

import (
	"testing"
)

func TestServerKeepsItsDataThroughKill(t *testing.T) {
	s := Start(t)
	if s.cmd == nil {
		t.Skip("a borrowed server is not killed")
	}
	if _, err := ask(t.Context(), s.addr, "SET k kept"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := ask(t.Context(), s.addr, "PING"); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Restart()
	answers, err := ask(t.Context(), s.addr, "STRLEN k")
	if err != nil || answers[0] != ":4" {
		t.Fatalf("STRLEN k = %q, %v; want :4", answers, err)
	}
}
