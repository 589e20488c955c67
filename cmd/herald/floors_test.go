package main

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/need"
)

// mqttOf is where a process with the role conn speaks MQTT.
func (in *installation) mqttOf(p *program) (host, port string) {
	in.t.Helper()
	found := regexp.MustCompile(`mqtt=(\S+):(\d+)`).FindStringSubmatch(p.out.String())
	if found == nil {
		in.t.Fatalf("it does not say where MQTT is: %s", p.out.String())
	}
	return found[1], found[2]
}

// talker registers a device of a user and returns the arguments with which
// Mosquitto's clients are it, at a node.
func (in *installation) talker(node *program, user, device string) []string {
	in.t.Helper()
	_, err := in.herald.PutDevice(in.t.Context(), client.Device{
		ID: device, User: user, Platform: "android", Addresses: []client.Address{{Provider: "live", Token: device}},
	})
	if err != nil {
		in.t.Fatal(err)
	}
	token, err := in.herald.DeviceToken(in.t.Context(), device)
	if err != nil {
		in.t.Fatal(err)
	}
	host, port := in.mqttOf(node)
	return []string{"-h", host, "-p", port, "-V", "5", "-i", device, "-u", "shop/" + device, "-P", token.Token, "-q", "1"}
}

// TestFloorsRunInProcessesOfTheirOwn has two devices talk at two access nodes,
// with the logic in processes of its own, of which one is killed.
func TestFloorsRunInProcessesOfTheirOwn(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	need.Program(t, "mosquitto_sub", howToGet)
	need.Program(t, "mosquitto_pub", howToGet)
	in := install(t, 0)
	t.Setenv("HERALD_IM_LINK_LISTEN", "127.0.0.1:0")
	logic := in.start("im")
	first, second := in.start("conn"), in.start("conn")

	ann := exec.CommandContext(t.Context(), "mosquitto_sub", append(in.talker(first, "ann", "ann-phone"), "-t", "inbox", "-c")...)
	out, err := ann.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ann.Process.Kill(); _ = ann.Wait() })
	heard := make(chan string, 64)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			heard <- lines.Text()
		}
	}()
	eventually(t, 60*time.Second, "ann is online", func() error {
		online, err := in.online("ann")
		if err == nil && !online {
			err = errors.New("not online")
		}
		return err
	})

	bob := in.talker(second, "bob", "bob-phone")
	say := func(text string) {
		t.Helper()
		word := fmt.Sprintf(`{"op":"send","to":"ann","client_id":%q,"body":{"text":%q}}`, text, text)
		eventually(t, 60*time.Second, text+" is said", func() error {
			out, err := exec.CommandContext(t.Context(), "mosquitto_pub", append(bob, "-t", "im", "-m", word)...).CombinedOutput()
			if err != nil || strings.Contains(string(out), "rror") {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
	say("one")
	if m := hears(t, heard, "one"); m.Sender != "bob" || m.Seq != 1 {
		t.Errorf("ann heard %+v", m)
	}
	next := in.start("im")
	logic.kill()
	say("two")
	if m := hears(t, heard, "two"); m.Seq != 2 {
		t.Errorf("ann heard %+v", m)
	}
	next.stop()

	// The node that ann is at is emptied before it is stopped.
	var node string
	eventually(t, 60*time.Second, "the nodes are shown", func() error {
		for line := range strings.Lines(in.must("live", "nodes", "-c", in.config, "--format", "csv")) {
			if f := strings.Split(line, ","); len(f) > 2 && f[2] == "1" {
				node = f[0]
				return nil
			}
		}
		return errors.New("no node with one session")
	})
	in.must("live", "drain", node, "--per-second", "100", "-c", in.config)
	eventually(t, 60*time.Second, "the node is empty", func() error {
		shown := in.must("live", "nodes", "-c", in.config, "--format", "csv")
		if !strings.Contains(shown, node+",draining,0,") {
			return errors.New(shown)
		}
		return nil
	})
	in.must("live", "fill", node, "-c", in.config)
	eventually(t, 60*time.Second, "the node is open", func() error {
		shown := in.must("live", "nodes", "-c", in.config, "--format", "csv")
		if !strings.Contains(shown, node+",open,") {
			return errors.New(shown)
		}
		return nil
	})
	if out, err := herald(t.Context(), "live", "drain", "nobody", "-c", in.config).CombinedOutput(); err == nil {
		t.Errorf("a node that is not there was drained: %s", out)
	}
}

// online asks whether a user has a connected device.
func (in *installation) online(user string) (bool, error) {
	var answer struct{ Online []string }
	_, err := call(in.t.Context(), in.herald.URL, in.herald.Key, "POST", "/v1/im/online?as="+user, map[string]any{"users": []string{user}}, &answer)
	return len(answer.Online) == 1, err
}
