package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestBusinessesAreKept(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		g := sqlstore.GatewayService{App: "demo", Service: "jobs", Declaration: []byte(`{"service":"jobs"}`), By: "k1"}
		for want := range int64(2) {
			if err := s.PutGatewayService(ctx, &g); err != nil || g.Revision != want+1 {
				t.Fatalf("PutGatewayService() = %v, revision %d", err, g.Revision)
			}
		}
		if all, err := s.GatewayServices(ctx); err != nil || len(all) != 1 || string(all[0].Declaration) != `{"service":"jobs"}` || !all[0].UpdatedAt.Equal(g.UpdatedAt) {
			t.Errorf("GatewayServices() = %+v, %v", all, err)
		}
		if err := s.DeleteGatewayService(ctx, "demo", "jobs"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteGatewayService(ctx, "demo", "jobs"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("deleting it twice: %v", err)
		}

		if err := s.PutGatewaySecret(ctx, "demo", "partner", []byte("hush")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GatewaySecret(ctx, "demo", "partner"); err != nil || string(got) != "hush" {
			t.Errorf("GatewaySecret() = %s, %v", got, err)
		}
		if _, err := s.GatewaySecret(ctx, "other", "partner"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("another app's: %v", err)
		}
		if names, err := s.GatewaySecretNames(ctx, "demo"); err != nil || len(names) != 1 || names[0] != "partner" {
			t.Errorf("GatewaySecretNames() = %v, %v", names, err)
		}
		if err := s.DeleteGatewaySecret(ctx, "demo", "partner"); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEventOfABusinessIsKeptOnceAndForAWeek(t *testing.T) {
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		e := &sqlstore.GatewayEvent{App: "demo", Service: "jobs", Event: "viewed", ID: "e1", Digest: "d", Body: []byte(`{}`), State: "received", ReceivedAt: at}
		if before, err := s.PutGatewayEvent(ctx, e); err != nil || before != nil {
			t.Fatalf("PutGatewayEvent() = %+v, %v", before, err)
		}
		e.State, e.Detail, e.Replays = "done", "fine", 2
		if err := s.SetGatewayEvent(ctx, e); err != nil {
			t.Fatal(err)
		}
		before, err := s.PutGatewayEvent(ctx, e)
		if err != nil || before == nil || before.State != "done" || before.Replays != 2 || !before.ReceivedAt.Equal(at) {
			t.Fatalf("the second time: %+v, %v", before, err)
		}
		later := *e
		later.ID, later.ReceivedAt = "e2", at.Add(8*24*time.Hour)
		if _, err := s.PutGatewayEvent(ctx, &later); err != nil {
			t.Fatal(err)
		}
		if all, err := s.GatewayEvents(ctx, "demo", "jobs", 10); err != nil || len(all) != 1 || all[0].ID != "e2" {
			t.Errorf("a week later there are %d, %v", len(all), err)
		}
		if _, err := s.GatewayEvent(ctx, "demo", "jobs", "viewed", "e1"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("the old one: %v", err)
		}
	})
}
