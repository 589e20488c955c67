package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
	"github.com/herald-push/herald/push"
)

// together is a configuration whose service takes several devices.
func together(batch string) map[string]any {
	return map[string]any{
		"endpoint": "https://x.example", "path": "/send",
		"body":       json.RawMessage(`{"id":"{{.Delivery}}","to":{"$each":"{{.Token}}"},"list":"{{.TokenList}}","each":{"$each":{"token":"{{.Token}}","id":"{{.Delivery}}"}},"text":"{{.Body}}"}`),
		"success":    json.RawMessage(`{"path":"code","equals":["0"]}`),
		"message_id": "id", "code": []string{"code"},
		"codes": json.RawMessage(`[{"code":["gone","40"],"kind":"unregistered"},{"code":"slow","kind":"throttled","retry_after_seconds":7},{"code":"sign","kind":"credentials"}]`),
		"batch": json.RawMessage(batch),
	}
}

func TestOneRequestTellsManyAndItsAnswerIsReadDeviceByDevice(t *testing.T) {
	byToken := `{"most":100,"results":{"items":"data","token":"cid","code":["error"],"success":["ok"],"message_id":"mid"}}`
	inOrder := `{"most":100,"results":{"items":"data","code":["error"]}}`
	lists := `{"most":100,"refused":[{"tokens":"bad.gone","code":"gone"},{"tokens":"bad.slow","code":"slow"},{"tokens":"bad.what","code":"what"}]}`
	tests := map[string]struct {
		batch, answer string
		status        int
		want          []string // kinds of t-0 to t-3; "" is accepted
		id            string   // of the first that was accepted
	}{
		"nobody is named":                  {byToken, `{"code":0,"id":"m1"}`, 200, []string{"", "", "", ""}, "m1"},
		"outcomes by token":                {byToken, `{"code":0,"id":"m1","data":[{"cid":"t-2","error":"gone"},{"cid":"t-0","error":"ok","mid":"d0"},{"cid":"t-3","error":"slow"}]}`, 200, []string{"", "", "unregistered", "throttled"}, "d0"},
		"outcomes in order":                {inOrder, `{"code":0,"id":"m1","data":[{},{"error":40},{"error":""},{"error":"strange"}]}`, 200, []string{"", "unregistered", "", "rejected"}, "m1"},
		"outcomes in order, and few":       {inOrder, `{"code":0,"id":"m1","data":[{},{}]}`, 200, []string{"", "", "unknown", "unknown"}, "m1"},
		"an outcome of nobody asked about": {byToken, `{"code":0,"id":"m1","data":[{"cid":"else","error":"gone"},{"error":"gone"}]}`, 200, []string{"", "", "", ""}, "m1"},
		"lists by reason":                  {lists, `{"code":0,"id":"m1","bad":{"gone":["t-0","t-3"],"slow":"t-1","what":["t-2"]}}`, 200, []string{"unregistered", "throttled", "rejected", "unregistered"}, ""},
		"all are refused":                  {byToken, `{"code":"sign"}`, 200, []string{"credentials", "credentials", "credentials", "credentials"}, ""},
		"it breaks":                        {lists, `{"code":"x"}`, 500, []string{"unavailable", "unavailable", "unavailable", "unavailable"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := providertest.HTTP(togetherService(tt.batch, providertest.JSON(tt.status, tt.answer))).Start(t, providertest.Accepts)
			first := ""
			for i, reply := range f.Provider.(providers.Batcher).SendBatch(t.Context(), several(4)) {
				if got := push.KindName(reply.Err); got != tt.want[i] {
					t.Errorf("device %d: %v, want %q", i, reply.Err, tt.want[i])
				}
				if first == "" && reply.Err == nil {
					first = reply.Answer.ID
				}
			}
			if first != tt.id || f.Attempts() != 1 {
				t.Errorf("id %q in %d attempts, want %q in one", first, f.Attempts(), tt.id)
			}
		})
	}
}

func TestRequestNamesEachDeviceOnce(t *testing.T) {
	got := make(chan map[string]any, 2)
	f := providertest.HTTP(togetherService(`{"most":3}`, func(w http.ResponseWriter, r *http.Request) {
		var m map[string]any
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &m)
		got <- m
		providertest.JSON(200, `{"code":0}`)(w, r)
	})).Start(t, providertest.Accepts)
	p := f.Provider.(*Provider)
	ds := several(3)
	ds[2].Address.Token = "t-2,t-9" // two of them, to the service
	replies := p.SendBatch(t.Context(), ds)
	if replies[0].Err != nil || replies[1].Err != nil || !errors.Is(replies[2].Err, push.ErrUnregistered) {
		t.Errorf("replies = %+v", replies)
	}
	text, _ := json.Marshal(<-got)
	want := `{"each":[{"id":"order-8812.0.0","token":"t-0"},{"id":"order-8812.0.1","token":"t-1"}],"id":"order-8812.0","list":"t-0,t-1","text":"Your parcel is on its way","to":["t-0","t-1"]}`
	if string(text) != want {
		t.Errorf("body = %s\nwant %s", text, want)
	}
	if _, err := p.Send(t.Context(), ds[0]); err != nil {
		t.Fatal(err)
	}
	if alone := <-got; alone["id"] != "order-8812.0.0" || alone["list"] != "t-0" {
		t.Errorf("alone: %v", alone)
	}
	if n := ds[0].Notification; p.Batch(n) != 3 {
		t.Errorf("Batch() = %d, want 3", p.Batch(n))
	}
}

func TestProviderOfManyKeepsTheContract(t *testing.T) {
	s := service("jpush")
	s.Open = func(t *testing.T, endpoint, ca string) providers.Provider {
		return openExample(t, "jpush", endpoint, ca, map[string]any{"batch": json.RawMessage(`{"most":1000}`)})
	}
	providertest.Run(t, providertest.HTTP(s))
}

func TestClassesSayWhatGoesTogether(t *testing.T) {
	p := openExample(t, "jpush", "https://x.example", "", map[string]any{"ca": ""})
	n := *delivery("n1.0.0").Notification
	for class, want := range map[push.Class]int{push.Marketing: 1000, push.OTP: 1, push.Transactional: 1} {
		if n.Class = class; p.Batch(&n) != want {
			t.Errorf("Batch() of %s = %d, want %d", class, p.Batch(&n), want)
		}
	}
}

func TestBatchThatCannotWorkIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change map[string]any
		want   []string
	}{
		"too many":                   {map[string]any{"batch": json.RawMessage(`{"most":1001}`)}, []string{"batch.most"}},
		"no number":                  {map[string]any{"batch": json.RawMessage(`{}`)}, []string{"batch.most"}},
		"no such class":              {map[string]any{"batch": json.RawMessage(`{"most":2,"classes":["news"]}`)}, []string{"batch.classes"}},
		"a misspelt field":           {map[string]any{"batch": json.RawMessage(`{"most":2,"result":{}}`)}, []string{"batch.result"}},
		"results without paths":      {map[string]any{"batch": json.RawMessage(`{"most":2,"results":{}}`)}, []string{"batch.results.code", "batch.results.items"}},
		"a list without a reason":    {map[string]any{"batch": json.RawMessage(`{"most":2,"refused":[{"tokens":"bad"}]}`)}, []string{"batch.refused.code"}},
		"a request to one device":    {map[string]any{"body": json.RawMessage(`{"to":"{{.Token}}"}`)}, []string{"batch", "body.to"}},
		"an address with one device": {map[string]any{"path": "/send/{{.Token}}"}, []string{"path"}},
		"a signature over one":       {map[string]any{"sign": json.RawMessage(`{"kind":"md5","secret":"s","over":"{{.Token}}{{.Secret}}","into":"query:s"}`)}, []string{"sign.over"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := together(`{"most":2}`)
			maps.Copy(c, tt.change)
			text, _ := json.Marshal(c)
			_, err := New(text)
			invalid, _ := errors.AsType[*push.Invalid](err)
			var fields []string
			if invalid != nil {
				for _, f := range invalid.Faults {
					fields = append(fields, f.Field)
				}
			}
			if !slices.Equal(fields, tt.want) {
				t.Errorf("faults at %v (%v), want %v", fields, err, tt.want)
			}
		})
	}
}

func TestReportOnOneOfManyNamesIt(t *testing.T) {
	c := together(`{"most":2}`)
	c["receipts"] = json.RawMessage(`{"signature":{"kind":"bearer","secret":"s3cret","from":"header:Authorization"},
		"answer":{"ok":true},"items":"reports","delivery":"id","token":"cid","stage":"what","stages":{"arrived":"delivered"}}`)
	p := open(t, c)
	r := providertest.Report(t, name, "demo")
	r.Header.Set("Authorization", "Bearer s3cret")
	rs, err := p.Callback(r, []byte(`{"reports":[{"id":"n1.0","cid":"t-1","what":"arrived"},{"id":"n1.0","what":"arrived"},{"id":"n1.0.2","what":"arrived"}]}`))
	if err != nil || len(rs) != 2 {
		t.Fatalf("Callback() = %+v, %v, want two receipts", rs, err)
	}
	if got := string(p.CallbackAnswer()); got != `{"ok":true}` {
		t.Errorf("the service hears %s", got)
	}
	if rs[0].Delivery != "n1.0" || rs[0].Token != "t-1" || rs[0].Notification != "n1" || rs[1].Delivery != "n1.0.2" || rs[1].Token != "" {
		t.Errorf("receipts = %+v", rs)
	}
}

func togetherService(batch string, accept http.HandlerFunc) providertest.Service {
	return providertest.Service{
		Name: name, Accept: accept, Delivery: delivery,
		Open: func(t *testing.T, endpoint, ca string) providers.Provider {
			c := together(batch)
			c["endpoint"], c["ca"], c["allow_private"] = endpoint, ca, true
			return open(t, c)
		},
	}
}

// several are deliveries of one chunk.
func several(n int) []*push.Delivery {
	ds := make([]*push.Delivery, n)
	for i := range ds {
		ds[i] = delivery(push.DeliveryID("order-8812", 0, i))
		ds[i].Address.Token = fmt.Sprint("t-", i)
	}
	return ds
}
