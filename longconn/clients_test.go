package longconn_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/herald-push/herald/longconn"
)

// need skips the test without the program, plainly, or fails it where every
// part is required.
func need(t *testing.T, program, howToGet string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("HERALD_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is required: %s", program, howToGet)
	}
	t.Skipf("%s is not installed: %s", program, howToGet)
	return ""
}

const getMosquitto = "apt-get install mosquitto-clients"

func (h *house) mosquitto(version, id string, more ...string) []string {
	host, port, _ := net.SplitHostPort(h.TCPAddr().String())
	return append([]string{"-V", version, "-h", host, "-p", port, "-i", id, "-u", "demo/" + id, "-P", "sesame"}, more...)
}

func TestMosquittoSubReceivesAndAcknowledges(t *testing.T) {
	program := need(t, "mosquitto_sub", getMosquitto)
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
				h.await(t, "acknowledgement of "+id, func() bool { return h.acked[id] == 1 })
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("mosquitto_sub: %v", err)
			}
			h.await(t, "goodbye", func() bool {
				return len(h.closed["d1"]) == 1 && h.closed["d1"][0] == longconn.Disconnected
			})
		})
	}
}

func TestMosquittoPubReports(t *testing.T) {
	program := need(t, "mosquitto_pub", getMosquitto)
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
				h.await(t, "publication", func() bool { return len(h.published) == 1 })
				if got := string(h.published[0].Payload); got != "hi" {
					t.Errorf("payload %q", got)
				}
			})
		}
	}
}

func TestMosquittoIsToldOfTheWrongPassword(t *testing.T) {
	program := need(t, "mosquitto_sub", getMosquitto)
	for version, code := range map[string]int{"mqttv311": 4, "mqttv5": 0x86} {
		h := open(t)
		args := h.mosquitto(version, "d1", "-t", "inbox", "-P", "wrong")
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != code {
			t.Errorf("%s: exit %v, want %d: %s", version, err, code, out)
		}
	}
}
