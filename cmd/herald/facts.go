package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// facts is what one needs to know to use a running `herald dev`: the banner
// shows it and dev.json holds it for programs, passwords included.
type facts struct {
	URL        string `json:"url"`
	APIKey     string `json:"api_key"`
	MQTT       string `json:"mqtt"`
	WebSocket  string `json:"websocket"`
	Dashboard  string `json:"dashboard"` // with a login link
	Sandbox    string `json:"sandbox"`   // its control API; empty without a sandbox
	Data       string `json:"data"`
	Redis      string `json:"redis"`
	ClickHouse string `json:"clickhouse"` // empty if there is none
}

const factsFile = "dev.json"

func (f facts) write(dir string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", factsFile, err)
	}
	return writeFile(filepath.Join(dir, factsFile), append(b, '\n'))
}

// readFacts reads the facts of the Herald that last ran on dir.
func readFacts(dir string) (facts, error) {
	b, err := os.ReadFile(filepath.Join(dir, factsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return facts{}, fmt.Errorf("no Herald has run on %s: start one with `herald dev`, or say where yours is with --url and --key", dir)
	}
	if err != nil {
		return facts{}, err
	}
	var f facts
	if err := json.Unmarshal(b, &f); err != nil {
		return facts{}, fmt.Errorf("%s: %w", filepath.Join(dir, factsFile), err)
	}
	return f, nil
}

// banner tells a newcomer where everything is and what to try.
type banner struct {
	facts
	Version    string
	Took       time.Duration // from the start until all was ready
	Redis      string        // which one, in words; the facts' own has a password
	ClickHouse string        // likewise
	Demo       string        // what the demo is; empty without one
	Notes      []string      // what is worse than it could be
	Command    string        // how this program is called
	Where      string        // the flag that finds this Herald; empty if none is needed
}

func (b banner) print(w io.Writer) {
	fmt.Fprintf(w, "\nherald %s is ready after %.1f s\n\n", b.Version, b.Took.Seconds())
	for _, l := range [][2]string{
		{"API", b.URL},
		{"key", b.APIKey},
		{"MQTT", b.MQTT},
		{"WebSocket", b.WebSocket},
		{"dashboard", b.Dashboard},
		{"sandbox", b.Sandbox},
		{"demo", b.Demo},
		{"data", b.Data},
		{"redis", b.Redis},
		{"clickhouse", b.ClickHouse},
	} {
		if l[1] != "" {
			fmt.Fprintf(w, "  %-11s %s\n", l[0], l[1])
		}
	}
	for _, note := range b.Notes {
		fmt.Fprintf(w, "\n  ! %s\n", note)
	}
	fmt.Fprintf(w, "\ntry, the first in a terminal of its own:\n\n  %s\n\nCtrl-C ends it; devices, keys and events stay in %s\n\n",
		strings.Join(b.try(), "\n  "), b.Data)
}

// try is three commands that show the main job: a device listens, a
// notification goes out, and Herald tells what came of it.
func (b banner) try() []string {
	host, port, _ := strings.Cut(strings.TrimPrefix(b.MQTT, "mqtt://"), ":")
	return []string{
		fmt.Sprintf(`mosquitto_sub -h %s -p %s -i phone-1 -u phone-1 -P "$(%s token phone-1%s)" -t inbox -q 1`, host, port, b.Command, b.Where),
		b.Command + ` send --to device:phone-1 --title Hi --body there` + b.Where,
		b.Command + ` explain --device phone-1` + b.Where,
	}
}
