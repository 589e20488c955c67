package longconn_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

const getMosquitto = "apt-get install mosquitto-clients"

func (h *house) mosquitto(version, id string, more ...string) []string {
	host, port, _ := net.SplitHostPort(h.TCPAddr().String())
	return append([]string{"-V", version, "-h", host, "-p", port, "-i", id, "-u", "demo/" + id, "-P", "sesame"}, more...)
}

func TestMosquittoSubReceivesAndAcknowledges(t *testing.T) {
	program := need.Program(t, "mosquitto_sub", getMosquitto)
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			cmd := exec.CommandContext(t.Context(), program, h.mosquitto(version, "d1", "-t", "inbox", "-q", "1", "-C", "2")...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for i := range 2 {
				id := fmt.Sprint("m", i)
				if err := h.deliver(t, "d1", longconn.Message{ID: id, Payload: []byte(`{"id":"` + id + `"}`)}); err != nil {
					t.Fatalf("Deliver(%s) = %v", id, err)
				}
				if !lines.Scan() || lines.Text() != `{"id":"`+id+`"}` {
					t.Fatalf("mosquitto_sub printed %q", lines.Text())
				}
				h.Await(t, "acknowledgement of "+id, func() bool { return h.acked[id] == 1 })
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("mosquitto_sub: %v", err)
			}
			h.Await(t, "goodbye", func() bool {
				return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Disconnected
			})
		})
	}
}

func TestMosquittoPubReports(t *testing.T) {
	program := need.Program(t, "mosquitto_pub", getMosquitto)
	for _, version := range []string{"mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1", "2"} {
			t.Run(version+" QoS "+qos, func(t *testing.T) {
				t.Parallel()
				h := open(t)
				out, err := exec.CommandContext(t.Context(), program,
					h.mosquitto(version, "d1", "-t", "receipts", "-q", qos, "-m", "hi")...).CombinedOutput()
				if err != nil {
					t.Fatalf("mosquitto_pub: %v: %s", err, out)
				}
				h.Await(t, "publication", func() bool { return len(h.published) == 1 })
				if got := string(h.published[0].Payload); got != "hi" {
					t.Errorf("payload %q", got)
				}
			})
		}
	}
}

func TestMosquittoIsToldOfTheWrongPassword(t *testing.T) {
	program := need.Program(t, "mosquitto_sub", getMosquitto)
	for version, code := range map[string]int{"mqttv311": 4, "mqttv5": 0x86} {
		h := open(t)
		args := h.mosquitto(version, "d1", "-t", "inbox", "-P", "wrong")
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != code {
			t.Errorf("%s: exit %v, want %d: %s", version, err, code, out)
		}
	}
}

// mqttjs starts MQTT.js as a device and returns its standard input and the
// events that it prints.
func (h *house) mqttjs(t *testing.T, url, version, device, password string) (io.Writer, func(event string) map[string]any) {
	t.Helper()
	node := need.Program(t, "node", "apt-get install nodejs npm")
	need.File(t, "testdata/mqttjs/node_modules/mqtt", "npm ci --prefix longconn/testdata/mqttjs")
	cmd := exec.CommandContext(t.Context(), node, "testdata/mqttjs/device.js", url, version, device, password)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it ends with its input, or with the test
	})
	lines := bufio.NewScanner(out)
	return in, func(event string) map[string]any {
		t.Helper()
		for lines.Scan() {
			var got map[string]any
			if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			if got["event"] == event {
				return got
			}
		}
		t.Fatalf("MQTT.js ended without %q", event)
		return nil
	}
}

func TestMQTTJSIsADevice(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"mqtt", "ws"} {
		for _, version := range []string{"4", "5"} {
			t.Run(scheme+" version "+version, func(t *testing.T) {
				t.Parallel()
				h := open(t)
				addr := h.TCPAddr()
				if scheme == "ws" {
					addr = h.WebSocketAddr()
				}
				in, next := h.mqttjs(t, scheme+"://"+addr.String(), version, "d1", "sesame")
				if got := next("subscribed"); got["qos"] != 1.0 || got["error"] != "" {
					t.Errorf("subscribed: %v", got)
				}
				if err := h.deliver(t, "d1", longconn.Message{ID: "m1", Payload: []byte("grüezi"), Expires: time.Now().Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
				if got := next("message"); got["payload"] != "grüezi" || got["topic"] != "inbox" || got["qos"] != 1.0 || got["dup"] != false {
					t.Errorf("message: %v", got)
				}
				h.Await(t, "proof", func() bool { return h.acked["m1"] == 1 })
				fmt.Fprintln(in, "seen")
				if got := next("published"); got["error"] != "" {
					t.Errorf("published: %v", got)
				}
				h.Await(t, "publication", func() bool { return len(h.published) == 1 })
				h.conn(t, "d1").Close(longconn.TakenOver)
				if version == "5" {
					if got := next("disconnect"); got["reason"] != float64(mqtt.SessionTakenOver) {
						t.Errorf("disconnect: %v", got)
					}
				}
				next("close")
			})
		}
	}
}

func TestMQTTJSIsToldOfTheWrongPassword(t *testing.T) {
	t.Parallel()
	for version, code := range map[string]float64{"4": 4, "5": float64(mqtt.BadCredentials)} {
		h := open(t)
		_, next := h.mqttjs(t, "ws://"+h.WebSocketAddr().String(), version, "d1", "wrong")
		if got := next("error"); got["code"] != code {
			t.Errorf("version %s: %v, want code %v", version, got, code)
		}
	}
}

func TestPahoIsADevice(t *testing.T) {
	h := open(t)
	nc, err := net.Dial("tcp", h.TCPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *paho.Publish, 10)
	client := paho.NewClient(paho.ClientConfig{
		Conn:                       packets.NewThreadSafeConn(nc),
		EnableManualAcknowledgment: true,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			got <- p.Packet
			return true, nil
		}},
	})
	if _, err := client.Connect(t.Context(), &paho.Connect{
		ClientID: "d1", KeepAlive: 30, CleanStart: true,
		UsernameFlag: true, Username: "d1", PasswordFlag: true, Password: []byte("sesame"),
		Properties: &paho.ConnectProperties{SessionExpiryInterval: paho.Uint32(60)},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "inbox", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"m1", "m2"} {
		if err := h.deliver(t, "d1", longconn.Message{ID: id, Payload: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := <-got, <-got
	h.Lock()
	early := len(h.acked)
	h.Unlock()
	if early != 0 {
		t.Error("there is proof before the app acknowledged")
	}
	for _, p := range []*paho.Publish{first, second} {
		if err := client.Ack(p); err != nil {
			t.Fatal(err)
		}
	}
	h.Await(t, "both proofs", func() bool { return h.acked["m1"] == 1 && h.acked["m2"] == 1 })
	if _, err := client.Publish(t.Context(), &paho.Publish{Topic: "elsewhere", QoS: 1, Payload: []byte("x")}); err == nil {
		t.Error("publishing on another's topic was allowed")
	}
	if _, err := client.Publish(t.Context(), &paho.Publish{Topic: "receipts", QoS: 2, Payload: []byte("x")}); err != nil {
		t.Errorf("QoS 2: %v", err)
	}
	if err := client.Disconnect(&paho.Disconnect{}); err != nil {
		t.Fatal(err)
	}
	h.Await(t, "goodbye", func() bool { return len(h.closed["d1"]) == 1 })
}
