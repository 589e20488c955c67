package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/need"
)

// person registers a device of a user.
func (p *program) person(user, device, provider string) {
	p.t.Helper()
	body := deviceBody(device, provider)
	body["user"] = user
	if status := p.call(http.MethodPut, "/v1/devices/"+device, body, nil); status >= 300 {
		p.t.Fatalf("register %s: status %d", device, status)
	}
}

// hears waits for a frame of chat with the text, and returns it.
func hears(t *testing.T, heard <-chan string, text string) im.ChatMessage {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line := <-heard:
			var f struct {
				Type    string
				Message im.ChatMessage
			}
			if json.Unmarshal([]byte(line), &f) == nil && f.Type == "message" && strings.Contains(string(f.Message.Body), text) {
				return f.Message
			}
		case <-deadline:
			t.Fatalf("nobody said %q", text)
		}
	}
}

// TestPeopleTalk has two stock MQTT clients talk, and a third who is away.
func TestPeopleTalk(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	need.Program(t, "mosquitto_sub", howToGet)
	need.Program(t, "mosquitto_pub", howToGet)
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	p.person("ann", "ann-phone", "live")
	p.person("bob", "bob-phone", "live")
	p.person("cat", "cat-phone", "fcm")
	ann, bob := p.subscribe("ann-phone"), p.subscribe("bob-phone")

	host, port, _ := strings.Cut(strings.TrimPrefix(p.facts.MQTT, "mqtt://"), ":")
	p.person("bob", "bob-tablet", "live")
	token := strings.TrimSpace(p.run("token", "bob-tablet"))
	say := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-V", "5", "-i", "bob-tablet", "-u", "bob-tablet", "-P", token,
		"-t", "im", "-q", "1", "-m", `{"op":"send","to":"ann","client_id":"b1","body":{"text":"from a stock client"}}`)
	if out, err := say.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
	m := hears(t, ann, "from a stock client")
	if m.Sender != "bob" || m.Seq != 1 {
		t.Errorf("ann heard %+v", m)
	}
	hears(t, bob, "from a stock client") // bob's other device

	var said im.ChatMessage
	status := p.call(http.MethodPost, "/v1/im/messages?as=ann", map[string]any{
		"conversation": m.Conversation, "client_id": "a1", "body": map[string]string{"text": "and back"},
	}, &said)
	if status != http.StatusCreated || said.Seq != 2 {
		t.Fatalf("status %d, %+v", status, said)
	}
	hears(t, bob, "and back")
	eventually(t, 20*time.Second, "bob's acknowledgement is kept", func() error {
		var c struct{ Me im.Member }
		p.call(http.MethodGet, "/v1/im/conversations/"+m.Conversation+"?as=bob", nil, &c)
		if c.Me.Received != 2 {
			return fmt.Errorf("received %d", c.Me.Received)
		}
		return nil
	})

	// Who is away is told by the road that the selector chooses, once for all
	// that waits in a conversation.
	for i := range 3 {
		p.call(http.MethodPost, "/v1/im/messages?as=ann", map[string]any{
			"to": "cat", "client_id": fmt.Sprint("c", i), "body": map[string]string{"text": fmt.Sprint("are you there, ", i)},
		}, nil)
	}
	eventually(t, 40*time.Second, "cat's phone rings", func() error {
		var mail struct {
			Messages []struct {
				Title, Body string
			} `json:"messages"`
		}
		if _, err := call(t.Context(), p.facts.Sandbox, "", http.MethodGet, "/control/vendors/fcm/messages", nil, &mail); err != nil {
			return err
		}
		for _, m := range mail.Messages {
			if m.Title == "ann" && strings.HasPrefix(m.Body, "are you there") {
				return nil
			}
		}
		return errors.New("no message yet")
	})
	var changes struct {
		Changes []im.Change
		Unread  uint64
	}
	p.call(http.MethodGet, "/v1/im/changes?as=cat", nil, &changes)
	if len(changes.Changes) != 1 || changes.Unread != 3 || changes.Changes[0].Peer != "ann" {
		t.Errorf("cat's changes: %+v", changes)
	}
}

// TestTheJavaScriptClientTalks runs client/js in Node against this Herald.
func TestTheJavaScriptClientTalks(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	need.Program(t, "node", howToGet)
	mqtt, err := filepath.Abs("../../longconn/testdata/mqttjs/node_modules/mqtt/build/index.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mqtt); err != nil {
		need.Missing(t, "MQTT.js is absent: npm ci --prefix longconn/testdata/mqttjs")
	}
	t.Parallel()
	p := startDev(t, t.TempDir(), "--no-demo")
	credentials := func(user string) map[string]string {
		device := user + "-node"
		p.person(user, device, "live")
		var token struct {
			Token     string `json:"token"`
			ExpiresAt string `json:"expires_at"`
		}
		p.call(http.MethodPost, "/v1/devices/"+device+"/token", nil, &token)
		return map[string]string{
			"url": p.facts.WebSocket, "client_id": device, "username": "demo/" + device, "password": token.Token, "expires_at": token.ExpiresAt,
		}
	}
	arg, err := json.Marshal(map[string]any{"mqtt": mqtt, "api": p.facts.URL, "ann": credentials("ann"), "bob": credentials("bob")})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "../../client/js/testdata/talk.mjs", string(arg))
	var said safeBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, 60*time.Second, "the clients have talked", func() error {
		if strings.Contains(said.String(), "ready") || strings.Contains(said.String(), "Error") {
			return nil
		}
		return errors.New(said.String())
	})
	p.run("send", "--to", "device:ann-node", "--title", "Hi", "--body", "there")
	if err := <-ended; err != nil || !strings.Contains(said.String(), "ok") {
		t.Fatalf("%v: %s", err, said.String())
	}
}
