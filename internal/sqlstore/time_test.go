package sqlstore_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestUsersSayHowTheyAreReached(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		if any, err := s.HasUsers(ctx, "demo"); any || err != nil {
			t.Errorf("HasUsers() = %v, %v before anybody said anything", any, err)
		}
		ada := &push.User{App: "demo", ID: "ada", Timezone: "Europe/Berlin", QuietHours: &push.QuietHours{From: "22:00", To: "08:00"}}
		for _, u := range []*push.User{ada, {App: "demo", ID: "bob"}, {App: "other", ID: "ada", Timezone: "UTC"}} {
			if err := s.PutUser(ctx, u); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.User(ctx, "demo", "ada"); err != nil || !reflect.DeepEqual(got, *ada) || got.UpdatedAt.IsZero() {
			t.Errorf("User() = %+v, %v; want %+v", got, err, *ada)
		}
		if any, err := s.HasUsers(ctx, "demo"); !any || err != nil {
			t.Errorf("HasUsers() = %v, %v", any, err)
		}
		users, err := s.Users(ctx, "demo", []string{"ada", "bob", "carol", "broken\x00"})
		if err != nil || len(users) != 2 || users["ada"].Timezone != "Europe/Berlin" || users["bob"].QuietHours != nil {
			t.Errorf("Users() = %+v, %v", users, err)
		}
		ada.QuietHours = nil
		if err := s.PutUser(ctx, ada); err != nil {
			t.Fatal(err)
		}
		if got, err := s.User(ctx, "demo", "ada"); err != nil || got.QuietHours != nil {
			t.Errorf("User() = %+v, %v; the quiet hours should be gone", got, err)
		}
		if err := s.DeleteUser(ctx, "demo", "ada"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(ctx, "demo", "ada"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("DeleteUser() again = %v, want ErrNotFound", err)
		}
		if err := s.PutUser(ctx, &push.User{App: "nowhere", ID: "x"}); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("PutUser() of no app = %v, want ErrNotFound", err)
		}
	})
}

func TestSchedulesMoveOnOnce(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		noon := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
		sc := &push.Schedule{
			App: "demo", ID: "daily", Cron: "0 12 * * *", Timezone: "UTC", NextAt: noon, TTLSeconds: 60,
			Request: json.RawMessage(`{"title":"a\u0000b"}`), Notification: &push.Notification{Title: "a\x00b", To: push.Audience{All: true}},
		}
		if err := s.PutSchedule(ctx, sc); err != nil {
			t.Fatal(err)
		}
		due := func(by time.Time) []*push.Schedule {
			t.Helper()
			all, err := s.DueSchedules(ctx, by, 10)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if got := due(noon.Add(-time.Second)); len(got) != 0 {
			t.Errorf("%d schedules are due before their time", len(got))
		}
		got := due(noon)
		if len(got) != 1 || !reflect.DeepEqual(got[0], sc) {
			t.Fatalf("DueSchedules() = %+v, want %+v", got, sc)
		}
		tomorrow := noon.Add(24 * time.Hour)
		for _, last := range []time.Time{noon, noon.Add(time.Hour)} { // two workers; the second is late
			if err := s.AdvanceSchedule(ctx, sc, tomorrow, last); err != nil {
				t.Fatal(err)
			}
		}
		moved, err := s.Schedule(ctx, "demo", "daily")
		if err != nil || !moved.NextAt.Equal(tomorrow) || !moved.LastAt.Equal(noon) {
			t.Errorf("Schedule() = %+v, %v; want it moved once", moved, err)
		}
		if err := s.AdvanceSchedule(ctx, moved, tomorrow.Add(time.Hour), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if moved, _ = s.Schedule(ctx, "demo", "daily"); !moved.LastAt.Equal(noon) {
			t.Errorf("a missed firing became the last: %v", moved.LastAt)
		}
		if err := s.PutSchedule(ctx, &push.Schedule{App: "demo", ID: "b", Cron: "@daily", NextAt: noon, Request: sc.Request, Notification: sc.Notification}); err != nil {
			t.Fatal(err)
		}
		if page, err := s.Schedules(ctx, "demo", "b", 10); err != nil || len(page) != 1 || page[0].ID != "daily" {
			t.Errorf("Schedules() = %+v, %v", page, err)
		}
		if err := s.DeleteSchedule(ctx, "demo", "daily"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Schedule(ctx, "demo", "daily"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("Schedule() after its end = %v, want ErrNotFound", err)
		}
	})
}

func TestTemplatesCountTheirWrites(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		friend := "friend"
		tpl := &push.Template{
			App: "demo", ID: "parcel", DefaultLocale: "en", Variables: map[string]push.Variable{"name": {Default: &friend}},
			Locales: map[string]push.Content{"en": {Title: "Hello {{name}}\x00", Data: map[string]string{"k": "v"}}},
		}
		for want := 1; want <= 2; want++ {
			if err := s.PutTemplate(ctx, tpl); err != nil || tpl.Version != want {
				t.Fatalf("PutTemplate() = %v, version %d; want %d", err, tpl.Version, want)
			}
		}
		if got, err := s.Template(ctx, "demo", "parcel"); err != nil || !reflect.DeepEqual(got, tpl) {
			t.Errorf("Template() = %+v, %v; want %+v", got, err, tpl)
		}
		if all, err := s.Templates(ctx, "demo", "", 10); err != nil || len(all) != 1 {
			t.Errorf("Templates() = %+v, %v", all, err)
		}
		if err := s.DeleteTemplate(ctx, "demo", "parcel"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Template(ctx, "demo", "parcel"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("Template() = %v, want ErrNotFound", err)
		}
	})
}
