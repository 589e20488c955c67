package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// huaweiErrors are Push Kit's codes with the HTTP status they come with, of
// developer.huawei.com/consumer/cn/doc/HMSCore-References/https-send-api-0000001050986197
// as of 2026-11-23. "503" is flow control, which has no code.
var huaweiErrors = map[string]struct {
	status  int
	message string
}{
	"80100001": {400, "Some request parameters are incorrect"},
	"80100003": {400, "Illegal payload"},
	"80100004": {400, "The expiration time is incorrect"},
	"80100013": {400, "Invalid collapse_key"},
	"80100016": {400, "The message contains sensitive information"},
	"80100017": {503, "Too many concurrent topic-based messages"},
	"80200001": {401, "OAuth authentication error"},
	"80200003": {401, "OAuth token expired"},
	"80300002": {400, "The current app does not have the permission to send messages"},
	"80300007": {400, "All tokens are invalid"},
	"80300008": {400, "The message body size exceeds the default value"},
	"80300010": {400, "The number of tokens in the message body exceeds the default value"},
	"80300011": {400, "You are not authorized to send high-priority notification messages"},
	"80600003": {500, "Failed to request the OAuth service"},
	"81000001": {500, "System inner error"},
	"503":      {503, ""},
}

const (
	huaweiClient    = "100000001"
	huaweiUser      = "herald-sandbox" // of the receipts
	huaweiLimit     = 4096             // bytes of a message without its tokens
	huaweiTokens    = 1000             // of one message
	huaweiMaxBody   = 5 << 20
	huaweiConsole   = "/console/receipts"
	huaweiTokenPath = "/oauth2/v3/token"

	// huaweiLearns is how long Huawei takes to learn that an app was deleted:
	// until then it takes messages for it, and says so in the receipt.
	huaweiLearns = 10 * time.Minute
	huaweiGone   = 2 // the result of such a receipt

	maxPosts = 10_000 // receipts under way; more are lost and counted
)

// kit plays Huawei's Push Kit, v1 and v2, with its OAuth token endpoint and its
// console, as far as receipts go: PUT {"address":"https://…"} to
// /console/receipts says where they are sent; "" sends none.
type kit struct {
	*vendor
	oauth  *clientOAuth
	secret string // that signs receipts
	client *http.Client

	pending atomic.Int64
	posts   chan huaweiPost
}

// huaweiPost is the receipts of one request.
type huaweiPost struct {
	to   string
	body []byte
}

func newKit(v *vendor, id *identity) *kit {
	k := &kit{
		vendor: v, oauth: newClientOAuth(huaweiClient, oauthSecret(id, v.name)), secret: oauthSecret(id, v.name+" receipts"),
		client: &http.Client{Timeout: 5 * time.Second}, posts: make(chan huaweiPost, maxPosts),
	}
	v.words = words{
		internal: "81000001", limited: "503", tell: k.tell,
		knows: func(word string) bool { return huaweiErrors[word].status != 0 },
	}
	return k
}

func huaweiCredentials(s *Sandbox) map[string]any {
	return map[string]any{
		"endpoint": s.URL("huawei"), "ca": s.id.CA,
		"client_id": huaweiClient, "client_secret": oauthSecret(s.id, "huawei"),
		"callback_user": huaweiUser, "callback_secret": oauthSecret(s.id, "huawei receipts"),
	}
}

// serve serves Push Kit over TLS and carries its receipts until ctx ends.
func (k *kit) serve(log *slog.Logger, cert *tls.Config) func(context.Context, net.Listener) error {
	doors := overTLS(log, k.front(k), cert)
	return func(ctx context.Context, on net.Listener) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for range mailCarriers {
			wg.Go(func() { k.carry(ctx) })
		}
		return doors(ctx, on)
	}
}

func (k *kit) tell(w http.ResponseWriter, code string) {
	k.answer(w, code, huaweiErrors[code].message, "")
}

func (k *kit) answer(w http.ResponseWriter, code, message, id string) {
	status := http.StatusOK
	if e, ok := huaweiErrors[code]; ok {
		status = e.status
	}
	k.retryAfter(w, status)
	if message == "" {
		w.WriteHeader(status)
		return
	}
	writeJSON(w, status, map[string]string{"code": code, "msg": message, "requestId": id})
}

// ServeHTTP takes one message, grants one access token or is told one address.
func (k *kit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case huaweiTokenPath:
		if !k.trouble(w, r, k.settings.Load()) {
			k.oauth.grant(w, r)
		}
		return
	case huaweiConsole:
		takeAddress(w, r, &k.reports)
		return
	}
	if k.meddle(w, r) {
		return
	}
	v1, v2 := strings.HasPrefix(r.URL.Path, "/v1/"+huaweiClient+"/"), strings.HasPrefix(r.URL.Path, "/v2/")
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/messages:send") || !v1 && !v2 {
		http.NotFound(w, r)
		return
	}
	body, err := readBody(r, huaweiMaxBody)
	if err != nil {
		return // the client has gone
	}
	if !k.oauth.knows(r.Header.Get("Authorization")) {
		k.refuse(w, "80200001")
		return
	}
	k.send(w, body)
}

// takeAddress is told where receipts go.
func takeAddress(w http.ResponseWriter, r *http.Request, to *atomic.Pointer[string]) {
	var form struct{ Address string }
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if r.Method != http.MethodPut || json.NewDecoder(r.Body).Decode(&form) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	to.Store(&form.Address)
	w.WriteHeader(http.StatusNoContent)
}

// huaweiRequest is what the sandbox looks at in a request.
type huaweiRequest struct {
	Message struct {
		Data    string   `json:"data"`
		Token   []string `json:"token"`
		Android struct {
			CollapseKey  int    `json:"collapse_key"`
			Urgency      string `json:"urgency"`
			TTL          string `json:"ttl"`
			BITag        string `json:"bi_tag"`
			Notification *struct {
				Title       string `json:"title"`
				Body        string `json:"body"`
				Tag         string `json:"tag"`
				Importance  string `json:"importance"`
				ClickAction struct {
					Type   int    `json:"type"`
					Intent string `json:"intent"`
				} `json:"click_action"`
			} `json:"notification"`
		} `json:"android"`
	} `json:"message"`
}

// fault finds what Push Kit refuses at once.
func (q *huaweiRequest) fault(size int) string {
	m := &q.Message
	for _, token := range m.Token {
		text, _ := json.Marshal(token) // a string always encodes
		size -= len(text)
	}
	n := m.Android.Notification
	switch {
	case len(m.Token) == 0 || len(m.Token) > huaweiTokens:
		return "80300010"
	case size > huaweiLimit:
		return "80300008"
	case !isLife(m.Android.TTL):
		return "80100004"
	case m.Android.CollapseKey < -1 || m.Android.CollapseKey > 100:
		return "80100013"
	case m.Android.Urgency != "" && m.Android.Urgency != "HIGH" && m.Android.Urgency != "NORMAL":
		return "80100003"
	case n == nil && m.Data == "":
		return "80100003"
	case n != nil && (n.Title == "" || n.Body == "" || n.ClickAction.Type < 1 || n.ClickAction.Type > 4):
		return "80100003"
	case n != nil && n.ClickAction.Type == 1 && n.ClickAction.Intent == "":
		return "80100003"
	}
	return ""
}

func (k *kit) send(w http.ResponseWriter, body []byte) {
	var req huaweiRequest
	if json.Unmarshal(body, &req) != nil {
		k.refuse(w, "80100001")
		return
	}
	if code := req.fault(len(body)); code != "" {
		k.refuse(w, code)
		return
	}
	id := strconv.FormatInt(time.Now().UnixMilli(), 10) + newHex()[:8]
	tag := ""
	if n := req.Message.Android.Notification; n != nil {
		tag = n.Tag
	}
	to := k.reports.Load()
	reports := to != nil && *to != ""
	var bad []string
	var results []map[string]any
	for _, token := range req.Message.Token {
		since, dead := k.since(token)
		result := 0
		switch {
		case !isPushToken(token) || dead && (!reports || time.Since(since) > huaweiLearns):
			bad = append(bad, token)
			continue
		case dead:
			k.counts.accepted.Add(1)
			k.counts.lost.Add(1)
			result = huaweiGone
		case !k.accept(record{token: token, id: id, collapse: tag, payload: body, read: readHuawei}):
			continue // nobody will ever know
		}
		results = append(results, map[string]any{
			"biTag": req.Message.Android.BITag, "appid": huaweiClient, "token": token,
			"status": result, "timestamp": time.Now().UnixMilli(), "requestId": id,
		})
	}
	if reports {
		k.report(*to, results)
	}
	k.outcome(w, id, len(req.Message.Token)-len(bad), bad)
}

// outcome answers with what became of the tokens.
func (k *kit) outcome(w http.ResponseWriter, id string, good int, bad []string) {
	if len(bad) == 0 {
		k.answer(w, "80000000", "Success", id)
		return
	}
	text, _ := json.Marshal(map[string]any{"success": good, "failure": len(bad), "illegal_tokens": bad}) // strings and numbers always encode
	code := "80100000"
	if good == 0 {
		code = "80300007"
	}
	k.counts.refuse(code)
	k.answer(w, code, string(text), id)
}

func readHuawei(payload []byte, m *Message) {
	var req huaweiRequest
	if json.Unmarshal(payload, &req) != nil {
		return
	}
	if n := req.Message.Android.Notification; n != nil {
		m.Title, m.Body = n.Title, n.Body
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(req.Message.Data), &fields) == nil {
		m.Data = stringsOf(fields)
	}
}

// report posts results, at most 100 at once, when their time has come.
func (k *kit) report(to string, results []map[string]any) {
	s := k.settings.Load()
	for len(results) > 0 {
		n := min(len(results), 100)
		body, _ := json.Marshal(map[string]any{"statuses": results[:n]}) // strings and numbers always encode
		results = results[n:]
		if happens(s.ReceiptLoss) {
			k.counts.callbacksLost.Add(1)
			continue
		}
		if k.pending.Add(1) > maxPosts {
			k.pending.Add(-1)
			k.counts.callbacksLost.Add(1)
			continue
		}
		time.AfterFunc(s.receiptDelay(), func() { k.posts <- huaweiPost{to, body} }) // has room for every pending one
	}
}

// carry posts receipts until ctx ends; what waits then is thrown away.
func (k *kit) carry(ctx context.Context) {
	defer k.client.CloseIdleConnections()
	for {
		select {
		case p := <-k.posts:
			k.pending.Add(-1)
			if err := k.post(ctx, p); err != nil {
				k.counts.callbacksFailed.Add(1)
			} else {
				k.counts.callbacks.Add(1)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (k *kit) post(ctx context.Context, p huaweiPost) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, strings.NewReader(string(p.body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	stamp, nonce := strconv.FormatInt(time.Now().UnixMilli(), 10), newUUID()
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write([]byte(stamp + nonce + huaweiUser))
	req.Header.Set("X-HUAWEI-CALLBACK-ID", fmt.Sprintf("timestamp=%s; nonce=%s; value=%s",
		stamp, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil))))
	res, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var heard struct {
		Code string `json:"code"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&heard); err != nil || res.StatusCode/100 != 2 || heard.Code != "0" {
		return fmt.Errorf("receipt: status %d, code %q", res.StatusCode, heard.Code) // it wants {"code":"0"}
	}
	return nil
}
