package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// report tells a person what went wrong and returns the exit code.
func report(w io.Writer, err error) int {
	code := 1
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
		if exit.err == nil {
			return code
		}
	}
	// Joined faults come one to a line.
	faults := strings.Split(err.Error(), "\n")
	if len(faults) == 1 {
		fmt.Fprintf(w, "herald: %s\n", faults[0])
		return code
	}
	fmt.Fprintf(w, "herald: %d faults:\n", len(faults))
	for _, fault := range faults {
		fmt.Fprintf(w, "  %s\n", fault)
	}
	return code
}
