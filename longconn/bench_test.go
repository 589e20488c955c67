package longconn_test

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/longconn/mqtt"
)

// BenchmarkIdleConnection tells the heap and stack of an idle connection, let
// in and subscribed. The client's end, a bare socket, is in the figure too.
func BenchmarkIdleConnection(b *testing.B) {
	const n = 2000
	for b.Loop() {
		h := openFor(b)
		before := inUse()
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = h.device(b, "d"+strconv.Itoa(i))
		}
		b.ReportMetric(float64(inUse()-before)/n, "B/conn")
		for _, c := range conns {
			c.Close()
		}
		if err := h.stop(); err != nil {
			b.Fatal(err)
		}
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkDeliver sends single messages of 200 bytes to 100 devices, each
// acknowledged, by clients in the same process. An operation is one message.
func BenchmarkDeliver(b *testing.B) {
	const devices = 100
	h := openFor(b)
	defer h.stop() //nolint:errcheck // reported by the tests
	var clients sync.WaitGroup
	conns := make([]net.Conn, devices)
	for i := range conns {
		conns[i] = h.device(b, "d"+strconv.Itoa(i))
		clients.Go(func() { acknowledge(conns[i]) })
	}
	room := make(chan struct{}, 512)
	payload := make([]byte, 200)
	i := 0
	for b.Loop() {
		i++
		c, _ := h.hub.Get("d" + strconv.Itoa(i%devices))
		room <- struct{}{}
		c.Deliver(longconn.Message{ID: strconv.Itoa(i), Payload: payload}, func(error) { <-room })
	}
	b.StopTimer()
	b.ReportMetric(float64(h.Stats().Acked)/b.Elapsed().Seconds(), "acked/s")
	for _, c := range conns {
		c.Close()
	}
	clients.Wait()
}

// acknowledge answers every PUBLISH until the connection ends.
func acknowledge(c net.Conn) {
	buf, out := make([]byte, 0, 64<<10), []byte(nil)
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf, out = buf[:len(buf)+n], out[:0]
		rest := buf
		for {
			h, body, n, err := mqtt.Split(rest, 1<<16)
			if err != nil || n == 0 {
				break
			}
			if p, err := mqtt.DecodePublish(h, body, mqtt.V311); h.Type == mqtt.PUBLISH && err == nil {
				out = mqtt.AppendAck(out, mqtt.V311, mqtt.PUBACK, p.ID, mqtt.Success)
			}
			rest = rest[n:]
		}
		buf = append(buf[:0], rest...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// device connects as one and reads the answer.
func (h *house) device(b *testing.B, id string) net.Conn {
	b.Helper()
	c, err := net.DialTimeout("tcp", h.TCPAddr().String(), soon)
	if err != nil {
		b.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(mqtt.AppendConnect(nil, mqtt.Connect{
		Version: mqtt.V311, Clean: true, KeepAlive: 300, ClientID: id,
		HasUser: true, Username: id, HasPass: true, Password: []byte("sesame"),
	})); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		b.Fatal(err)
	}
	return c
}
