package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
)

// subscribe listens as a device with a real MQTT client, and returns once the
// device is known to be connected.
func (p *program) subscribe(device string) <-chan string {
	p.t.Helper()
	host, port, _ := strings.Cut(strings.TrimPrefix(p.facts.MQTT, "mqtt://"), ":")
	token := strings.TrimSpace(p.run("token", device))
	cmd := exec.CommandContext(p.t.Context(), "mosquitto_sub", "-h", host, "-p", port, "-i", device, "-u", device, "-P", token,
		"-t", "inbox", "-q", "1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Wait() }) // the test's end has killed it
	heard := make(chan string, 100)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			heard <- lines.Text()
		}
	}()
	eventually(p.t, 20*time.Second, device+" is connected", func() error {
		plan := p.run("send", "--check", "--to", "device:"+device, "--title", "x")
		if !strings.Contains(plan, "live     first for 1") {
			return errors.New(plan)
		}
		return nil
	})
	return heard
}

// putDevice registers a device with an address at one provider.
func (p *program) putDevice(id, provider string) {
	p.t.Helper()
	if status := p.call(http.MethodPut, "/v1/devices/"+id, deviceBody(id, provider), nil); status >= 300 {
		p.t.Fatalf("register %s: status %d", id, status)
	}
}

// waitDone waits until every delivery of a notification was accepted.
func (p *program) waitDone(id string) {
	p.t.Helper()
	eventually(p.t, 60*time.Second, id+" is accepted by the vendor", func() error {
		var progress client.Progress
		status := p.call(http.MethodGet, "/v1/notifications/"+id, nil, &progress)
		if status != http.StatusOK || progress.State != client.Done || progress.Counts.Accepted != progress.Counts.Deliveries {
			return fmt.Errorf("status %d, %+v", status, progress)
		}
		return nil
	})
}

// waitOutcome waits until every delivery of a notification has any outcome.
func (p *program) waitOutcome(id string) {
	p.t.Helper()
	eventually(p.t, 60*time.Second, id+" has an outcome", func() error {
		var progress client.Progress
		if p.call(http.MethodGet, "/v1/notifications/"+id, nil, &progress); progress.State != client.Done {
			return fmt.Errorf("%+v", progress)
		}
		return nil
	})
}

// text gets a page with the API key.
func (p *program) text(path string) string {
	p.t.Helper()
	var raw json.RawMessage
	if strings.HasPrefix(path, "/v1") {
		p.call(http.MethodGet, path, nil, &raw)
		return string(raw)
	}
	res, err := http.Get(p.facts.URL + path) //nolint:noctx // a test's deadline bounds it
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b := new(strings.Builder)
	if _, err := bufio.NewReader(res.Body).WriteTo(b); err != nil {
		p.t.Fatal(err)
	}
	return b.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
