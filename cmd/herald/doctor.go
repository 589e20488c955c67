package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// doctorCmd checks a configuration and what it leads to.
type doctorCmd struct {
	configFlags
	Data string        `default:"./data" type:"path" help:"Without a configuration: the data folder of the herald dev to look at."`
	Wait time.Duration `default:"5s" help:"How long a server may take to answer."`
	Ask  bool          `default:"true" negatable:"" help:"Ask the vendors whether they take each app's credentials, with nothing sent to anybody."`
}

// finding is what a check found.
type finding struct {
	about string
	said  string
	err   error  // nil if all is well
	todo  string // what helps; empty if said says it
	mild  bool   // works, but should be better: no reason to fail
}

// examiner gathers findings and prints them as they come.
type examiner struct {
	out    io.Writer
	faults int
}

func (e *examiner) tell(f finding) {
	mark := "ok  "
	switch {
	case f.err != nil && f.mild:
		mark = "warn"
	case f.err != nil:
		mark = "FAIL"
		e.faults++
	}
	said := f.said
	if f.err != nil {
		said = f.err.Error()
	}
	fmt.Fprintf(e.out, "%s  %-11s %s\n", mark, f.about, said)
	if f.err != nil && f.todo != "" {
		fmt.Fprintf(e.out, "      %-11s → %s\n", "", f.todo)
	}
}

// load reads the configuration; without any it is that of the herald dev that
// runs here.
func (d *doctorCmd) load() (Config, error) {
	c, err := loadConfig(d.Config, os.Environ())
	if err != nil || d.Config != "" || c.Redis.URL != "" {
		return c, err
	}
	f, err := readFacts(d.Data)
	if err != nil {
		return c, fmt.Errorf("nothing to look at: %w, or give a configuration with --config", err)
	}
	c = devConfig(d.Data)
	c.Redis.URL, c.ClickHouse.URL = f.Redis, f.ClickHouse
	c.Listen = strings.TrimPrefix(f.URL, "http://")
	c.LongConn.TCP = strings.TrimPrefix(f.MQTT, "mqtt://")
	c.LongConn.WebSocket, _, _ = strings.Cut(strings.TrimPrefix(f.WebSocket, "ws://"), "/")
	return c, nil
}

// Run checks one thing after another and goes on after a fault, so that one
// visit tells all. The exit code is 1 if anything failed; warnings do not count.
func (d *doctorCmd) Run(ctx context.Context, std streams) error {
	e := &examiner{out: std.out}
	c, err := d.load()
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		for fault := range strings.Lines(err.Error()) {
			e.tell(finding{about: "config", err: errors.New(strings.TrimSpace(fault))})
		}
	} else {
		e.tell(finding{about: "config", said: "no faults; roles " + strings.Join(c.Roles, ", ")})
	}

	for _, check := range []func(context.Context, Config) []finding{
		examineRedis, examineDatabase, examineClickHouse, examineSealing, examineData, examinePorts, examineLimits,
	} {
		bounded, cancel := context.WithTimeout(ctx, d.Wait)
		for _, f := range check(bounded, c) {
			e.tell(f)
		}
		cancel()
	}
	for _, f := range d.examineRoads(ctx, c) {
		e.tell(f)
	}
	if e.faults > 0 {
		fmt.Fprintf(std.out, "\n%d to mend\n", e.faults)
		return &exitError{code: 1}
	}
	return nil
}
