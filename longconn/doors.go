package longconn

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// doors are for clients that have nothing but HTTP. Each of their sessions is a
// connection in memory to an engine like all others:
//
//	GET  /v1/inbox              messages, as soon as there are some: long polling
//	GET  /v1/live               messages as they come: server-sent events
//	POST /v1/live/{session}     what the client says to that
type doors struct {
	s    *Server
	mux  *http.ServeMux
	mu   sync.Mutex
	live map[string]*visit // by session
}

func newDoors(s *Server) *doors {
	d := &doors{s: s, mux: http.NewServeMux(), live: map[string]*visit{}}
	d.mux.HandleFunc("GET /v1/inbox", d.inbox)
	d.mux.HandleFunc("GET /v1/live", d.events)
	d.mux.HandleFunc("POST /v1/live/{session}", d.said)
	return d
}

// ServeHTTP lets pages of any origin ask: the token is what counts, and a
// browser adds none by itself.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// visit is the client's side of a connection in memory.
type visit struct {
	nc   net.Conn
	buf  []byte
	mu   sync.Mutex // one writer at a time
	done chan struct{}
}

// memConn is the server's side; it knows who is behind it.
type memConn struct {
	net.Conn

	from net.Addr
}

func (c *memConn) RemoteAddr() net.Addr { return c.from }

// enter opens a connection and says CONNECT with the request's token. The
// answer is written to w unless the client is in.
func (d *doors) enter(w http.ResponseWriter, r *http.Request, expiry uint32) *visit {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("access_token") // EventSource can send no header
	}
	ours, theirs := net.Pipe()
	c := d.s.adopt(&memConn{theirs, remoteAddr(r)})
	if c == nil {
		refuse(w, mqtt.ServerBusy, mqtt.Properties{})
		return nil
	}
	v := &visit{nc: ours, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		d.s.serve(c)
	}()
	v.say(mqtt.AppendConnect(nil, mqtt.Connect{Version: mqtt.V5, Properties: mqtt.Properties{
		AuthMethod: TokenAuth, AuthData: []byte(token), SessionExpiry: expiry,
	}}))
	h, body, err := v.next(time.Now().Add(d.s.cfg.HandshakeTimeout))
	reason, p := mqtt.ServerUnavailable, mqtt.Properties{}
	if err == nil && h.Type == mqtt.CONNACK {
		reason, _, p, _ = mqtt.DecodeConnack(body, mqtt.V5)
	}
	if reason != mqtt.Success {
		v.leave()
		refuse(w, reason, p)
		return nil
	}
	return v
}

// refuse turns a reason of MQTT into an answer of HTTP.
func refuse(w http.ResponseWriter, reason mqtt.Reason, p mqtt.Properties) {
	code := http.StatusServiceUnavailable
	switch reason {
	case mqtt.BadCredentials, mqtt.NotAuthorized, mqtt.BadClientID:
		code = http.StatusUnauthorized
	case mqtt.ServerBusy, mqtt.ServerUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(max(1, retryIn(p))))
	default:
		code = http.StatusBadRequest
	}
	reply(w, code, map[string]any{"error": http.StatusText(code), "reason": byte(reason)})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body) //nolint:errcheck,errchkjson // nobody is there to be told
}

// say writes packets; where that fails, next does.
func (v *visit) say(packets []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nc.SetWriteDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a pipe has deadlines
	v.nc.Write(packets)                                     //nolint:errcheck // see above
}

// next reads one packet. Its error is a timeout if there was none by then.
func (v *visit) next(by time.Time) (mqtt.Header, []byte, error) {
	v.nc.SetReadDeadline(by) //nolint:errcheck // a pipe has deadlines
	p := make([]byte, 4096)
	for {
		h, body, n, err := mqtt.Split(v.buf, mqtt.MaxLength)
		if err != nil || n > 0 {
			body = append([]byte(nil), body...)
			v.buf = v.buf[n:]
			return h, body, err
		}
		n, err = v.nc.Read(p)
		v.buf = append(v.buf, p[:n]...)
		if err != nil && n == 0 {
			return mqtt.Header{}, nil, err
		}
	}
}

// leave ends the connection, and waits until the server has noticed.
func (v *visit) leave() {
	v.nc.Close()
	<-v.done
}

// polled is how long the session of a client that polls is kept, in seconds.
const polled = 300

// inbox serves GET /v1/inbox?cursor=…&wait=SECONDS. It answers as soon as there
// are messages, or with none after the wait. The cursor of an answer, given
// with the next request, acknowledges its messages; without it they come again.
func (d *doors) inbox(w http.ResponseWriter, r *http.Request) {
	wait, err := seconds(r.URL.Query().Get("wait"), 25, 55)
	taken, err2 := parseCursor(r.URL.Query().Get("cursor"))
	if err = errors.Join(err, err2); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	v := d.enter(w, r, polled)
	if v == nil {
		return
	}
	defer v.leave()
	stop := closeOnDone(r, v)
	defer stop()
	messages, cursor := v.collect(taken, time.Now().Add(wait))
	v.say(mqtt.AppendDisconnect(nil, mqtt.V5, mqtt.Success, mqtt.Properties{}))
	reply(w, http.StatusOK, map[string]any{"messages": messages, "cursor": cursor})
}

// closeOnDone ends a visit when its client has gone.
func closeOnDone(r *http.Request, v *visit) (stop func()) {
	over := make(chan struct{})
	go func() {
		select {
		case <-r.Context().Done():
			v.nc.Close()
		case <-over:
		}
	}()
	return func() { close(over) }
}

func seconds(text string, standard, most int) (time.Duration, error) {
	if text == "" {
		return time.Duration(standard) * time.Second, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("wait: %.20q is not a number from 0 to %d", text, most)
	}
	return time.Duration(n) * time.Second, nil
}

// digest stands for a message in a cursor.
type digest [8]byte

func digestOf(payload []byte) digest {
	sum := sha256.Sum256(payload)
	return digest(sum[:8])
}

// maxCursor bounds the messages in one answer, and so in its cursor.
const maxCursor = 32

func parseCursor(text string) (map[digest]bool, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b)%8 != 0 || len(b) > 8*maxCursor {
		return nil, errors.New("cursor: not one of ours")
	}
	taken := map[digest]bool{}
	for ; len(b) > 0; b = b[8:] {
		taken[digest(b[:8])] = true
	}
	return taken, nil
}

// collect gathers messages: those that the client has already are acknowledged,
// the others returned, with those that follow at once.
func (v *visit) collect(taken map[digest]bool, by time.Time) (messages []said, cursor string) {
	const breath = 30 * time.Millisecond
	messages = []said{}
	var marks []byte
	for len(messages) < maxCursor {
		h, body, err := v.next(by)
		if err != nil {
			break
		}
		if h.Type != mqtt.PUBLISH {
			continue
		}
		p, err := mqtt.DecodePublish(h, body, mqtt.V5)
		if err != nil {
			break
		}
		mark := digestOf(p.Payload)
		if taken[mark] && p.ID != 0 {
			v.say(mqtt.AppendAck(nil, mqtt.V5, mqtt.PUBACK, p.ID, mqtt.Success))
			continue
		}
		s := tell(h, body)
		s.Packet = 0 // means nothing on another connection
		messages, marks = append(messages, s), append(marks, mark[:]...)
		by = time.Now().Add(breath)
	}
	return messages, base64.RawURLEncoding.EncodeToString(marks)
}

// events serves GET /v1/live. The first event is "connected" with the session
// that is to be answered to; then come "message", "published" and "bye", as
// they are told to clients that speak JSON.
func (d *doors) events(w http.ResponseWriter, r *http.Request) {
	v := d.enter(w, r, 60)
	if v == nil {
		return
	}
	defer v.leave()
	session := rand.Text()
	d.mu.Lock()
	d.live[session] = v
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.live, session)
		d.mu.Unlock()
	}()
	stop := closeOnDone(r, v)
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	fmt.Fprintf(w, "event: connected\ndata: {\"type\":\"connected\",\"session\":%q}\n\n", session)
	v.stream(http.NewResponseController(w), w)
}

// stream passes on what the server says until the end. In silence it writes a
// comment now and then, which keeps the way open and shows whether it is.
func (v *visit) stream(c *http.ResponseController, w io.Writer) {
	const silence = 20 * time.Second
	for {
		if c.Flush() != nil {
			return
		}
		h, body, err := v.next(time.Now().Add(silence))
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			fmt.Fprint(w, ":\n\n")
			v.say(mqtt.AppendPing(nil, mqtt.PINGREQ))
			continue
		case err != nil:
			return
		}
		s := tell(h, body)
		if s.Type == "" || s.Type == "pong" {
			continue
		}
		data, err := json.Marshal(s)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", s.Type, data)
	}
}

// said serves POST /v1/live/{session}: one thing that a client may say in
// JSON, or a list of them.
func (d *doors) said(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	v := d.live[r.PathValue("session")]
	d.mu.Unlock()
	if v == nil {
		reply(w, http.StatusNotFound, map[string]string{"error": "no such session here"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*int64(d.s.cfg.MaxPacket)))
	var list []json.RawMessage
	if err == nil && json.Unmarshal(body, &list) != nil {
		list = []json.RawMessage{body}
	}
	var packets []byte
	for _, one := range list {
		var packet []byte
		if packet, err = packetOf(one); err != nil {
			break
		}
		packets = append(packets, packet...)
	}
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	v.say(packets)
	w.WriteHeader(http.StatusAccepted)
}
