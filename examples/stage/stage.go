// Package stage plays an example: it starts a real Herald and the businesses
// behind it, calls as clients do, shows every call and its answer, compares each
// with what is expected, and ends all that it started.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/herald-push/herald/client"
)

// An example takes a few seconds; on a slow machine these are its bounds.
const (
	playTime = 50 * time.Second
	endTime  = 8 * time.Second // then what has not ended is killed
)

// Stage is one example under way. A step that does not go as it should ends
// the example: steps return nothing to look at.
type Stage struct {
	ctx        context.Context
	bin, dir   string // where the programs are; a folder of this example's own
	procs      []*process
	businesses []*Business
	facts      facts
	api        *client.Client // with the key of the app
	hangUp     []func()       // ends the phones' connections
	checked    int
}

// facts are what `herald dev` writes down for programs.
type facts struct {
	URL    string `json:"url"`
	APIKey string `json:"api_key"`
	MQTT   string `json:"mqtt"`
}

// stopped is what a step panics with when the example is at its end.
type stopped struct{ err error }

// Main plays an example and exits: with 0 if all was as expected.
func Main(title string, play func(*Stage)) {
	bin := flag.String("bin", "bin", "folder with the programs")
	flag.Parse()
	began := time.Now()
	fmt.Println(title)
	s := &Stage{bin: *bin}
	if err := s.run(play); err != nil {
		fmt.Fprintf(os.Stderr, "\nNOT AS EXPECTED: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("\nAll %d answers were as expected; everything has ended, after %.1f s.\n", s.checked, time.Since(began).Seconds())
}

func (s *Stage) run(play func(*Stage)) (err error) {
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(interrupted, playTime, fmt.Errorf("it was not over after %v", playTime))
	defer cancel()
	s.ctx = ctx
	if s.dir, err = os.MkdirTemp("", "herald-example-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(s.dir) }() // what is left is the system's to clear away
	defer func() {
		if r := recover(); r != nil {
			end, ok := r.(stopped)
			if !ok {
				_ = s.end() // the fault is what is to be told
				panic(r)
			}
			err = end.err
			if cause := context.Cause(ctx); cause != nil {
				err = fmt.Errorf("%w (%w)", err, cause)
			}
		}
		err = errors.Join(err, s.end())
	}()
	s.startHerald()
	play(s)
	return nil
}

// Fail ends the example.
func (s *Stage) Fail(format string, args ...any) { panic(stopped{fmt.Errorf(format, args...)}) }

func (s *Stage) must(doing string, err error) {
	if err != nil {
		s.Fail("%s: %w", doing, err)
	}
}

// Scene begins a part of the story.
func (s *Stage) Scene(title, text string) {
	fmt.Printf("\n── %s %s\n", title, strings.Repeat("─", max(3, 90-len([]rune(title)))))
	if text != "" {
		fmt.Printf("%s\n", text)
	}
	fmt.Println()
}

// Say tells what happens beside calls.
func (s *Stage) Say(format string, args ...any) { fmt.Printf("  · "+format+"\n", args...) }

// Until waits until a thing is so.
func (s *Stage) Until(what string, so func() bool) {
	for !so() {
		select {
		case <-s.ctx.Done():
			s.Fail("%s: this did not come about", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Stage) startHerald() {
	services, data := filepath.Join(s.dir, "services"), filepath.Join(s.dir, "data")
	s.must("folder of the declarations", os.Mkdir(services, 0o700))
	p := s.start("herald", []string{"REDIS_URL=", "CLICKHOUSE_URL="},
		"dev", "--no-demo", "--data", data, "--services", services,
		"--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--websocket", "127.0.0.1:0")
	s.Until("herald dev is ready", func() bool {
		s.alive(p)
		text, err := os.ReadFile(filepath.Join(data, "dev.json"))
		return err == nil && json.Unmarshal(text, &s.facts) == nil && s.facts.URL != ""
	})
	s.api = &client.Client{URL: s.facts.URL, Key: s.facts.APIKey}
	s.Say("Herald runs on %s, in a folder of its own", s.facts.URL)
}

// Herald is where Herald answers.
func (s *Stage) Herald() string { return s.facts.URL }

// Secret gives Herald a secret that declarations name.
func (s *Stage) Secret(name, value string) {
	s.must("keep the secret "+name, s.ask(http.MethodPut, "/v1/gateway/secrets/"+name, map[string]string{"value": value}, nil))
}

// Declare puts the declarations of a folder before Herald, with the businesses'
// addresses in the place of http://NAME.example, and waits until they count.
func (s *Stage) Declare(folder fs.FS, dir string, businesses ...*Business) {
	names, err := fs.Glob(folder, dir+"/*.yaml")
	s.must("declarations", err)
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		s.must("declaration", err)
		for _, b := range businesses {
			text = bytes.ReplaceAll(text, []byte("http://"+b.name+".example"), []byte(b.url))
		}
		service := strings.TrimSuffix(path.Base(name), ".yaml")
		// Renamed into place: Herald never reads half a file.
		half := filepath.Join(s.dir, service)
		s.must("declaration", os.WriteFile(half, text, 0o600))
		s.must("declaration", os.Rename(half, filepath.Join(s.dir, "services", service+".yaml")))
		s.inForce(service, text)
		s.Say("%s is declared by %s", service, name)
	}
}

// inForce waits until Herald goes by a declaration: by its title, which no two
// of a service have alike.
func (s *Stage) inForce(service string, text []byte) {
	s.Until("the declaration of "+service+" counts", func() bool {
		var got struct {
			Declaration struct {
				Title string `json:"title"`
			} `json:"declaration"`
		}
		err := s.ask(http.MethodGet, "/v1/gateway/services/"+service, nil, &got)
		return err == nil && got.Declaration.Title != "" && bytes.Contains(text, []byte("\ntitle: "+got.Declaration.Title+"\n"))
	})
}

// ask makes a request of Herald's API that the SDK has no word for.
func (s *Stage) ask(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return s.post(method, s.facts.URL+path, "Bearer "+s.facts.APIKey, body, out)
}

func (s *Stage) post(method, url, proof string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(s.ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", proof)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s: %s", res.Status, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}
