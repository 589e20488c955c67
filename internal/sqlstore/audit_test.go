package sqlstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestChangesAreKeptAndFound(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for i, c := range []push.Change{
			{App: "demo", Who: "key k1", Action: "lane.put", Target: "/v1/lanes/apns", Before: json.RawMessage(`{"state":"open"}`)},
			{App: "other", Who: "key k2", Action: "lane.put", Target: "/v1/lanes/fcm"},
			{App: "demo", Who: "ann@x_y.example", Action: "key.post", Target: "/v1/apps/demo/keys"},
			{App: "*", Who: "bob@example.com", Action: "member.put", Target: "/v1/apps/*/members/a"},
		} {
			c.ID, c.At, c.Via, c.From = fmt.Sprint(i), at.Add(time.Duration(i)*time.Minute), "key", "127.0.0.1"
			if err := s.BeginChange(ctx, &c); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EndChange(ctx, "0", 200, json.RawMessage(`{"state":"off"}`)); err != nil {
			t.Fatal(err)
		}
		if err := s.EndChange(ctx, "nowhere", 200, nil); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("EndChange of nothing: %v", err)
		}
		tests := map[string]struct {
			app  string
			q    push.ChangeQuery
			want string
		}{
			"all of an app, the newest first":   {"demo", push.ChangeQuery{}, "320"},
			"by a part of who":                  {"demo", push.ChangeQuery{Who: "x_y"}, "2"},
			"a wildcard is itself":              {"demo", push.ChangeQuery{Who: "x%y"}, ""},
			"by action":                         {"demo", push.ChangeQuery{Action: "lane"}, "0"},
			"by target":                         {"other", push.ChangeQuery{Target: "fcm"}, "1"},
			"the page behind":                   {"demo", push.ChangeQuery{Before: "2"}, "0"},
			"a limit":                           {"demo", push.ChangeQuery{Limit: 1}, "3"},
			"since and until":                   {"demo", push.ChangeQuery{Since: at.Add(time.Minute), Until: at.Add(3 * time.Minute)}, "2"},
			"what no database keeps finds none": {"demo", push.ChangeQuery{Who: "\x00"}, ""},
		}
		for name, tt := range tests {
			if tt.q.Limit == 0 {
				tt.q.Limit = 10
			}
			got, err := s.Changes(ctx, tt.app, tt.q)
			ids := ""
			for _, c := range got {
				ids += c.ID
			}
			if err != nil || ids != tt.want {
				t.Errorf("%s: %q, %v; want %q", name, ids, err, tt.want)
			}
		}
		first, err := s.Changes(ctx, "demo", push.ChangeQuery{Action: "lane", Limit: 1})
		if err != nil || len(first) != 1 || first[0].Status != 200 || string(first[0].Before) != `{"state":"open"}` || string(first[0].After) != `{"state":"off"}` || !first[0].At.Equal(at) {
			t.Errorf("a change came back as %+v, %v", first, err)
		}
	})
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		for _, m := range []push.Member{
			{App: "demo", Email: "ann@example.com", Role: "viewer"}, {App: "demo", Email: "ann@example.com", Role: "operator"},
			{App: "other", Email: "ann@example.com", Role: "admin"}, {App: push.AllApps, Email: "bob@example.com", Role: "admin"},
		} {
			if err := s.PutMember(ctx, &m); err != nil || m.CreatedAt.IsZero() {
				t.Fatalf("PutMember: %v, %+v", err, m)
			}
		}
		if err := s.PutMember(ctx, &push.Member{App: "demo", Email: "x", Role: "king"}); !errors.As(err, new(*push.Invalid)) {
			t.Errorf("a role that is none: %v", err)
		}
		in, err := s.Members(ctx, "demo")
		if err != nil || len(in) != 2 || in[0].Role != "operator" || in[1].Email != "bob@example.com" {
			t.Errorf("members of demo: %+v, %v", in, err)
		}
		of, err := s.MemberOf(ctx, "ann@example.com")
		if err != nil || len(of) != 2 || of[1].App != "other" {
			t.Errorf("ann is member of %+v, %v", of, err)
		}
		if err := s.DeleteMember(ctx, "demo", "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteMember(ctx, "demo", "ann@example.com"); !errors.Is(err, push.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}
