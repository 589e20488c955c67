package main

import (
	"os"

	"github.com/herald-push/herald/internal/child"
)

// childCmd is the guard between Herald and a program that must not outlive it.
type childCmd struct {
	Lock string   `required:"" help:"File that is locked while the program lives."`
	Args []string `arg:"" passthrough:"" help:"The program and its arguments, after --."`
}

func (c *childCmd) Run() error {
	args := c.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	code, err := child.Guard(c.Lock, args, os.Stdin)
	if code != 0 || err != nil {
		return &exitError{code: code, err: err}
	}
	return nil
}
