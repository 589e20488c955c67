package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const contract = "../api/testdata/contract"

// exchange is a request with its answer, as the server is tested with it too.
type exchange struct {
	Request struct {
		Method string          `json:"method"`
		Path   string          `json:"path"`
		Body   json.RawMessage `json:"body"`
	} `json:"request"`
	Response struct {
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
}

// calls make each exchange's request through the SDK. Those whose body the
// types of the SDK cannot express are told by the second table.
var calls = map[string]func(context.Context, *Client) (any, error){
	"device_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutDevice(ctx, Device{
			App: "not sent", CreatedAt: time.Now(),
			ID: "d2", User: "u-17", Platform: "android", Maker: "xiaomi", Model: "15", OS: "16", AppVersion: "3.2.0",
			Country: "CN", Carrier: "CMCC", Locale: "zh-CN", Timezone: "Asia/Shanghai", Tags: []string{"beta"},
			Location:  &Location{Lat: 31.2, Lon: 121.5},
			Addresses: []Address{{Provider: "fcm", Token: "f-token"}, {Provider: "sms", Token: "+8613800138000"}, {Provider: "live"}},
		})
	},
	"device_put_faults":  func(ctx context.Context, c *Client) (any, error) { return c.PutDevice(ctx, Device{ID: "d2"}) },
	"device_get":         func(ctx context.Context, c *Client) (any, error) { return c.Device(ctx, "d1") },
	"device_get_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Device(ctx, "d9") },
	"device_delete":      func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteDevice(ctx, "d1") },
	"device_token":       func(ctx context.Context, c *Client) (any, error) { return c.DeviceToken(ctx, "d1") },
	"notification_send": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "order-8812-shipped", To: Audience{Device: "d1"}, Class: Transactional, Title: "Shipped",
			Body: "Your parcel is on its way", Data: map[string]string{"order": "8812"}, TTLSeconds: 3600,
			CollapseKey: "order-8812", Route: &Route{Roads: []string{"live", "auto"}, Until: Delivered, WaitSeconds: 30},
		})
	},
	"notification_send_later": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "reminder-1", To: Audience{User: "u-17"}, Class: Marketing, Title: "Sale",
			DeliverAt: time.Date(2026, 3, 2, 8, 0, 0, 0, time.FixedZone("", 3600)),
		})
	},
	"notification_send_local": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "local-1", To: Audience{Tag: "news"}, Class: Marketing, Title: "Sale",
			DeliverAtLocal: "2026-03-02T09:00", QuietHours: Silence, TTLSeconds: 3600,
		})
	},
	"notification_send_digest": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "like-1", To: Audience{User: "u-17"}, Class: Chat, Title: "Ada likes it", Digest: &Digest{Key: "likes", WindowSeconds: 600},
		})
	},
	"notification_send_time_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "local-2", To: Audience{Device: "d1"}, Class: OTP, Title: "Code", DeliverAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
			DeliverAtLocal: "2026-03-02T09:00", QuietHours: Hold, Digest: &Digest{Key: "a b"},
		})
	},
	"schedule_create": func(ctx context.Context, c *Client) (any, error) {
		return c.PutSchedule(ctx, Schedule{
			ID: "news", Cron: "0 9 * * *", Timezone: "Europe/Berlin",
			Notification: Notification{To: Audience{Tag: "news"}, Class: Marketing, Title: "Good morning", TTLSeconds: 3600},
		})
	},
	"schedule_create_faults": func(ctx context.Context, c *Client) (any, error) { return c.PutSchedule(ctx, Schedule{}) },
	"codes_get":              func(ctx context.Context, c *Client) (any, error) { return c.Codes(ctx, "apns") },
	"codes_get_unknown":      func(ctx context.Context, c *Client) (any, error) { return c.Codes(ctx, "pigeon") },
	"correction_put": func(ctx context.Context, c *Client) (any, error) {
		return c.CorrectCode(ctx, "apns", "Unregistered", Correction{Kind: "unreachable", RetryAfterSeconds: 60, Means: "our devices come back"})
	},
	"correction_put_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.CorrectCode(ctx, "apns", "http-200", Correction{Kind: "weather", RetryAfterSeconds: -1, Scope: "moon"})
	},
	"correction_delete": func(ctx context.Context, c *Client) (any, error) {
		return nil, c.DropCorrection(ctx, "apns", "ExpiredToken")
	},
	"correction_delete_unknown": func(ctx context.Context, c *Client) (any, error) {
		return nil, c.DropCorrection(ctx, "apns", "http-503")
	},
	"lane_list": func(ctx context.Context, c *Client) (any, error) {
		all, err := c.Lanes(ctx)
		return lanes{all}, err
	},
	"lane_off": func(ctx context.Context, c *Client) (any, error) {
		return c.SwitchLaneOff(ctx, "huawei", "the vendor asked us to")
	},
	"selection_get": func(ctx context.Context, c *Client) (any, error) { return c.Selection(ctx, "demo") },
	"selection_put": func(ctx context.Context, c *Client) (any, error) {
		return c.SetSelection(ctx, "demo", Selection{Rules: []SelectionRule{
			{Class: OTP, Mode: "static", Order: []string{"apns", "fcm"}}, {Mode: "ab", Share: 0.5},
		}})
	},
	"selection_put_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.SetSelection(ctx, "demo", Selection{Rules: []SelectionRule{
			{Class: "gossip", Mode: "magic", Share: 0.5, Order: []string{"pigeon"}}, {Mode: "ab"},
		}})
	},
	"lane_on":         func(ctx context.Context, c *Client) (any, error) { return c.SwitchLaneOn(ctx, "huawei") },
	"lane_faults":     func(ctx context.Context, c *Client) (any, error) { return c.SwitchLaneOff(ctx, "huawei", "") },
	"schedule_get":    func(ctx context.Context, c *Client) (any, error) { return c.Schedule(ctx, "morning") },
	"schedule_list":   func(ctx context.Context, c *Client) (any, error) { return c.Schedules(ctx, "", 10) },
	"schedule_delete": func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteSchedule(ctx, "morning") },
	"template_put": func(ctx context.Context, c *Client) (any, error) {
		friend := "friend"
		return c.PutTemplate(ctx, Template{
			ID: "welcome", DefaultLocale: "en", Variables: map[string]Variable{"name": {Default: &friend}},
			Locales: map[string]Content{"en": {Title: "Hello {{name}}", Data: map[string]string{"page": "home"}}, "zh-Hant": {Title: "{{name}}，您好"}},
		})
	},
	"template_put_faults":  func(ctx context.Context, c *Client) (any, error) { return c.PutTemplate(ctx, Template{ID: "welcome"}) },
	"template_get":         func(ctx context.Context, c *Client) (any, error) { return c.Template(ctx, "parcel") },
	"template_get_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Template(ctx, "nothing") },
	"template_list":        func(ctx context.Context, c *Client) (any, error) { return c.Templates(ctx, "", 10) },
	"template_delete":      func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteTemplate(ctx, "parcel") },
	"template_preview": func(ctx context.Context, c *Client) (any, error) {
		return c.PreviewTemplate(ctx, "parcel", "zh-TW", map[string]any{"count": 2})
	},
	"template_preview_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.PreviewTemplate(ctx, "parcel", "", map[string]any{"count": "two", "extra": "x"})
	},
	"notification_send_template": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{ID: "parcel-1", To: Audience{Device: "d1"}, Template: "parcel", Variables: map[string]any{"count": 2}})
	},
	"notification_send_template_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "parcel-2", To: Audience{Device: "d1"}, Title: "Mine", Template: "parcel", Variables: map[string]any{"cuont": 2}, TTLSeconds: 60,
		})
	},
	"user_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutUser(ctx, User{ID: "u-18", Timezone: "Asia/Shanghai", QuietHours: &QuietHours{From: "22:00", To: "07:30"}})
	},
	"user_put_faults":  func(ctx context.Context, c *Client) (any, error) { return c.PutUser(ctx, User{ID: "u-18"}) },
	"user_get":         func(ctx context.Context, c *Client) (any, error) { return c.User(ctx, "u-17") },
	"user_get_unknown": func(ctx context.Context, c *Client) (any, error) { return c.User(ctx, "nobody") },
	"user_delete":      func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteUser(ctx, "u-17") },
	"notification_send_filter": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "update-1", To: Audience{Tag: "news", Filter: `platform = "ios" and app_version < 3 and seen < 30d`}, Class: Marketing, Title: "An update",
		})
	},
	"notification_send_filter_fault": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{ID: "update-2", To: Audience{Filter: `platform = "ios" and colour = "red"`}, Class: Marketing, Title: "An update"})
	},
	"notification_pause":         func(ctx context.Context, c *Client) (any, error) { return c.Pause(ctx, "campaign:1") },
	"notification_pause_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Pause(ctx, "campaign:9") },
	"notification_resume":        func(ctx context.Context, c *Client) (any, error) { return c.Resume(ctx, "campaign:1") },
	"notification_send_rate": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{ID: "campaign-2", To: Audience{All: true}, Class: Marketing, Title: "Sale", RatePerMinute: 10_000})
	},
	"notification_send_rate_fault": func(ctx context.Context, c *Client) (any, error) { return c.Send(ctx, Notification{}) },
	"notification_send_faults":     func(ctx context.Context, c *Client) (any, error) { return c.Send(ctx, Notification{}) },
	"notification_send_conflict": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{ID: "order-1", To: Audience{Device: "d1"}, Title: "Something else"})
	},
	"notification_send_sms": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{ID: "ad-1", To: Audience{Device: "d1"}, Class: Marketing, Title: "Sale", Route: &Route{Roads: []string{"auto", "sms"}}})
	},
	"notification_send_no_key": func(ctx context.Context, c *Client) (any, error) { return c.Send(ctx, Notification{}) },
	"notification_batch": func(ctx context.Context, c *Client) (any, error) {
		rs, err := c.Batch(ctx, []Notification{
			{ID: "b-1", To: Audience{Device: "d1"}, Title: "Hi"}, {ID: "b-2", To: Audience{Device: "d1"}}, {ID: "b-3", To: Audience{Tag: "beta"}, Title: "Hello"},
		})
		return results{rs}, err
	},
	"notification_batch_empty": func(ctx context.Context, c *Client) (any, error) { return c.Batch(ctx, []Notification{}) },
	"notification_validate": func(ctx context.Context, c *Client) (any, error) {
		return c.Validate(ctx, Notification{To: Audience{Device: "d1"}, Title: "Hi"})
	},
	"notification_progress":         func(ctx context.Context, c *Client) (any, error) { return c.Progress(ctx, "order-1") },
	"notification_progress_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Progress(ctx, "order-9") },
	"notification_cancel":           func(ctx context.Context, c *Client) (any, error) { return c.Cancel(ctx, "order-1") },
	"deliveries": func(ctx context.Context, c *Client) (any, error) {
		return c.Deliveries(ctx, "order-1", Query{Device: "d1", Limit: 10})
	},
	"receipts_device": func(ctx context.Context, c *Client) (any, error) {
		rs, err := c.Receipts(ctx, []Receipt{
			{ID: "order-1.0.0", Event: Displayed, At: time.Date(2026, 3, 1, 11, 59, 58, 0, time.UTC)}, {ID: "order-9.0.0", Event: Clicked},
		})
		return results{rs}, err
	},
	"receipts_key": func(ctx context.Context, c *Client) (any, error) {
		rs, err := c.Receipts(ctx, []Receipt{{ID: "order-1.0.0", Event: Clicked, Device: "d1"}})
		return results{rs}, err
	},
	"webhook_create": func(ctx context.Context, c *Client) (any, error) {
		return c.CreateWebhook(ctx, Webhook{
			ID: "not sent", URL: "https://shop.example.com/herald", Events: []string{"delivery.failed", "address.dead"}, Description: "orders", Batch: 20,
		})
	},
	"webhook_create_faults":        func(ctx context.Context, c *Client) (any, error) { return c.CreateWebhook(ctx, Webhook{}) },
	"webhook_create_unknown_field": func(ctx context.Context, c *Client) (any, error) { return c.CreateWebhook(ctx, Webhook{}) },
	"webhook_list": func(ctx context.Context, c *Client) (any, error) {
		all, err := c.Webhooks(ctx)
		return map[string]any{"webhooks": all}, err
	},
	"webhook_get":         func(ctx context.Context, c *Client) (any, error) { return c.Webhook(ctx, "wh_1") },
	"webhook_get_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Webhook(ctx, "wh_9") },
	"webhook_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutWebhook(ctx, Webhook{
			ID: "wh_1", URL: "https://shop.example.com/herald", Events: []string{"delivery.failed", "address.dead"}, Batch: 1,
			Enabled: new(bool), DisabledWhy: "the shop moves",
		})
	},
	"webhook_delete": func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteWebhook(ctx, "wh_1") },
	"webhook_rotate": func(ctx context.Context, c *Client) (any, error) { return c.RotateWebhook(ctx, "wh_1", time.Hour) },
	"webhook_test":   func(ctx context.Context, c *Client) (any, error) { return c.TestWebhook(ctx, "wh_1") },
	"webhook_replay": func(ctx context.Context, c *Client) (any, error) {
		n, err := c.ReplayWebhook(ctx, "wh_1", WebhookQuery{})
		return map[string]int{"replayed": n}, err
	},
	"webhook_replay_faults": func(ctx context.Context, c *Client) (any, error) {
		_, err := c.ReplayWebhook(ctx, "wh_1", WebhookQuery{State: "lost"})
		return nil, err
	},
	"webhook_deliveries": func(ctx context.Context, c *Client) (any, error) {
		return c.WebhookDeliveries(ctx, "wh_1", WebhookQuery{State: "dead", Limit: 10})
	},
	"webhook_deliveries_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.WebhookDeliveries(ctx, "wh_1", WebhookQuery{State: "lost"})
	},
	"credentials_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutCredentials(ctx, "demo", "apns", json.RawMessage(`{"key_id":"ABC1234567","team_id":"DEF7654321","key":"PEM","topic":"com.example.app"}`))
	},
	"positions_report": func(ctx context.Context, c *Client) (any, error) {
		n, err := c.ReportPositions(ctx, "d1",
			Position{Lat: 52.52, Lon: 13.405, Accuracy: 12, At: time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC)},
			Position{Lat: 52.53, Lon: 13.405, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
		return map[string]int{"kept": n}, err
	},
	"positions_report_no_consent": func(ctx context.Context, c *Client) (any, error) {
		n, err := c.ReportPositions(ctx, "d9", Position{Lat: 52.52, Lon: 13.405})
		return n, err
	},
	"positions_report_faults": func(ctx context.Context, c *Client) (any, error) {
		n, err := c.ReportPositions(ctx, "d1", Position{Lat: 91})
		return n, err
	},
	"positions_forget": func(ctx context.Context, c *Client) (any, error) { return nil, c.ForgetPositions(ctx, "d1") },
	"consent_get":      func(ctx context.Context, c *Client) (any, error) { return c.Consent(ctx, "d1") },
	"consent_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutConsent(ctx, "d1", Consent{Mode: "coarse", Nearby: true})
	},
	"consent_put_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.PutConsent(ctx, "d1", Consent{Mode: "off", Nearby: true})
	},
	"nearby": func(ctx context.Context, c *Client) (any, error) {
		return c.Nearby(ctx, NearbyQuery{Lat: 52.52, Lon: 13.405, Radius: 2000})
	},
	"places_preview": func(ctx context.Context, c *Client) (any, error) {
		return c.PreviewPlaces(ctx, Audience{Near: &Circle{Lat: 52.52, Lon: 13.405, Radius: 5000}, Filter: `platform = "ios"`})
	},
	"places_preview_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.PreviewPlaces(ctx, Audience{Place: "atlantis"})
	},
	"place_list": func(ctx context.Context, c *Client) (any, error) { return c.Places(ctx, "", 1) },
	"place_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutPlace(ctx, Place{
			ID: "shop-2", Name: "Shop at the station", Kind: "shop", Circle: &Circle{Lat: 52.525, Lon: 13.369, Radius: 150}, Data: map[string]string{"opens": "09:00"},
		})
	},
	"place_put_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.PutPlace(ctx, Place{
			ID: "shop-2", Circle: &Circle{Lat: 52.525, Lon: 13.369, Radius: 150}, Polygon: []Location{{Lat: 1, Lon: 1}, {Lat: 2, Lon: 2}, {Lat: 1, Lon: 2}},
		})
	},
	"place_get":    func(ctx context.Context, c *Client) (any, error) { return c.Place(ctx, "shop-1") },
	"place_delete": func(ctx context.Context, c *Client) (any, error) { return nil, c.DeletePlace(ctx, "shop-1") },
	"fence_list":   func(ctx context.Context, c *Client) (any, error) { return c.Fences(ctx, "", 0) },
	"fence_put": func(ctx context.Context, c *Client) (any, error) {
		return c.PutFence(ctx, Fence{
			ID: "station", Name: "The station", Circle: &Circle{Lat: 52.525, Lon: 13.369, Radius: 300}, On: []string{"enter", "dwell"},
			DwellSeconds: 600, CooldownSeconds: 86400, Schedule: &OpeningTime{Days: []string{"mon", "tue"}, From: "07:00", To: "19:00", Timezone: "Europe/Berlin"},
			Notification: json.RawMessage(`{"class":"marketing","template":"parcel","variables":{"count":2},"ttl_seconds":1800}`),
		})
	},
	"fence_put_faults":  func(ctx context.Context, c *Client) (any, error) { return c.PutFence(ctx, Fence{ID: "bad"}) },
	"fence_get":         func(ctx context.Context, c *Client) (any, error) { return c.Fence(ctx, "home") },
	"fence_get_unknown": func(ctx context.Context, c *Client) (any, error) { return c.Fence(ctx, "nowhere") },
	"fence_delete":      func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteFence(ctx, "home") },
	"notification_send_near": func(ctx context.Context, c *Client) (any, error) {
		return c.Send(ctx, Notification{
			ID: "near-1", To: Audience{Near: &Circle{Lat: 52.52, Lon: 13.405, Radius: 5000}, Filter: `platform = "ios"`}, Class: Marketing, Title: "Sale",
		})
	},
	"service_call": func(ctx context.Context, c *Client) (any, error) {
		return c.Call(ctx, "jobs.search", ServiceCall{Version: 2, Input: map[string]string{"text": "cook"}, Page: &ServicePage{Limit: 20}})
	},
	"service_call_old": func(ctx context.Context, c *Client) (any, error) {
		return c.Call(ctx, "jobs.search", ServiceCall{Version: 1, Input: map[string]string{"q": "cook"}})
	},
	"service_call_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.Call(ctx, "jobs.search", ServiceCall{Version: 2, Input: map[string]int{"text": 7}})
	},
	"service_call_unknown": func(ctx context.Context, c *Client) (any, error) {
		return c.Call(ctx, "jobs.apply", ServiceCall{Version: 2, Input: struct{}{}})
	},
	"credentials_put_faults": func(ctx context.Context, c *Client) (any, error) {
		return c.PutCredentials(ctx, "demo", "apns", json.RawMessage(`{"key_id":"ABC1234567"}`))
	},
}

// inexpressible are requests that nobody can make by the types of the SDK.
var inexpressible = map[string]bool{
	"positions_report_faults": true, "fence_put_faults": true,
	"device_put_faults": true, "notification_send_faults": true, "notification_send_no_key": true,
	"schedule_create_faults": true, "template_put_faults": true, "notification_send_rate_fault": true, "user_put_faults": true,
	"webhook_create_faults": true, "webhook_create_unknown_field": true, "webhook_replay_faults": true,
}

// foreign are exchanges of the parts of the API that the SDK leaves to others.
var foreign = []string{"nearby_faults", "event_", "secret_", "service_list", "service_event_", "service_put", "service_get", "service_delete", "service_state", "service_try", "app_", "key_", "chat_", "member_", "audit_", "queue_", "task_", "node_", "notifications_list", "notification_rate", "devices_list", "device_state", "notifications_list", "notification_rate", "devices_list", "device_state", "credentials_get", "credentials_delete", "credentials_rollback", "user_export", "user_erase"}

func TestEveryExchangeIsSpoken(t *testing.T) {
	files, err := filepath.Glob(contract + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges in %s: %v", contract, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if isForeign(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			call, ok := calls[name]
			if !ok {
				t.Fatal("the SDK has no call for it")
			}
			x := read(t, file)
			srv := httptest.NewServer(replay(t, x, !inexpressible[name]))
			defer srv.Close()
			got, err := call(t.Context(), &Client{URL: srv.URL + "/", Key: "hk_test", Tries: 1})
			if x.Response.Status < 300 {
				if err != nil {
					t.Fatalf("error = %v, want none", err)
				}
				wantSame(t, "answer", encode(t, got), x.Response.Body)
				return
			}
			var p *Problem
			if !errors.As(err, &p) {
				t.Fatalf("error = %v, want a *Problem", err)
			}
			wantSame(t, "problem", encode(t, p), x.Response.Body)
		})
	}
}

func isForeign(name string) bool {
	for _, prefix := range foreign {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func read(t *testing.T, file string) (x exchange) {
	t.Helper()
	raw, err := os.ReadFile(file) //nolint:gosec // a file of this repository
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// replay plays the server of one exchange.
func replay(t *testing.T, x exchange, sameBody bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.Method != x.Request.Method || !sameURL(r, x.Request.Path) {
			t.Errorf("asked %s %s, want %s %s", r.Method, r.URL, x.Request.Method, x.Request.Path)
		}
		if r.Header.Get("Authorization") != "Bearer hk_test" {
			t.Errorf("Authorization = %q", r.Header.Get("Authorization"))
		}
		if sameBody {
			wantSame(t, "request", raw, x.Request.Body)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(x.Response.Status)
		_, _ = w.Write(x.Response.Body)
	})
}

func sameURL(r *http.Request, want string) bool {
	other, err := url.Parse(want)
	return err == nil && r.URL.Path == other.Path && r.URL.Query().Encode() == other.Query().Encode()
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// wantSame compares JSON; a null is as if left out.
func wantSame(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if g, w := canonical(t, got), canonical(t, want); !bytes.Equal(g, w) {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

func canonical(t *testing.T, raw []byte) []byte {
	t.Helper()
	if len(raw) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if m, ok := v.(map[string]any); ok {
		for k, e := range m {
			if e == nil {
				delete(m, k)
			}
		}
	}
	return encode(t, v)
}
