package longconn_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/herald-push/herald/internal/need"
	"github.com/herald-push/herald/longconn"
)

// page runs MQTT.js as pages do, and keeps what happens in window.log.
const page = `<!doctype html><title>device</title><script src="/mqtt.min.js"></script><script>
window.log = []
const client = mqtt.connect(%q, {protocolVersion: 5, clientId: 'd1', username: 'd1', password: 'sesame', reconnectPeriod: 0})
client.on('connect', () => log.push('connect'))
client.on('message', (topic, payload) => { log.push(topic + ' ' + payload); client.publish('receipts', 'seen', {qos: 2}, () => log.push('published')) })
client.on('disconnect', (p) => log.push('disconnect ' + p.reasonCode))
</script>`

func TestMQTTJSInABrowserIsADevice(t *testing.T) {
	t.Parallel()
	path := need.Program(t, "chromium", "apt-get install chromium")
	if _, err := exec.LookPath(path); err != nil {
		t.Fatal(err)
	}
	script := need.File(t, "testdata/mqttjs/node_modules/mqtt/dist/mqtt.min.js", "npm ci --prefix longconn/testdata/mqttjs")
	h := open(t)
	site := http.NewServeMux()
	site.HandleFunc("/mqtt.min.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	site.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, page, "ws://"+h.WebSocketAddr().String()+"/mqtt")
	})
	web := httptest.NewServer(site)
	t.Cleanup(web.Close)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(web.URL)); err != nil {
		t.Fatal(err)
	}
	shows := func(line string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf("window.log.includes(%q)", line)))
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				return
			}
			if time.Now().After(deadline) {
				all, _ := chromedp.Run(ctx, chromedp.Evaluate[[]string]("window.log"))
				t.Fatalf("no %q in %q", line, all)
			}
		}
	}
	shows("connect")
	if err := h.deliver(t, "d1", longconn.Message{ID: "m1", Payload: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	shows("inbox hello")
	shows("published")
	h.Await(t, "proof", func() bool { return h.acked["m1"] == 1 && len(h.published) == 1 })
	h.conn(t, "d1").Close(longconn.TakenOver)
	shows("disconnect 142")
}
