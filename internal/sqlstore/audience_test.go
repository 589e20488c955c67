package sqlstore_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

func TestPageWalksEveryAudience(t *testing.T) {
	tests := map[string]struct {
		to   push.Audience
		want []string
	}{
		"one device":               {push.Audience{Device: "d3"}, []string{"d3"}},
		"an unknown device":        {push.Audience{Device: "nobody"}, nil},
		"a list in its own order":  {push.Audience{Devices: []string{"d9", "d1", "nobody", "d1", "d5", "d0", "d9", "d2"}}, []string{"d9", "d1", "d5", "d0", "d2"}},
		"a list of unknown ones":   {push.Audience{Devices: []string{"x", "y", "z", "w\x00"}}, nil},
		"a user's devices":         {push.Audience{User: "u1"}, []string{"d1", "d4", "d7"}},
		"an unknown user":          {push.Audience{User: "u9"}, nil},
		"a user that has no name":  {push.Audience{Users: []string{""}}, nil},
		"several users, by device": {push.Audience{Users: []string{"u2", "u1", "u2"}}, []string{"d1", "d2", "d4", "d5", "d7", "d8"}},
		"a tag":                    {push.Audience{Tag: "even"}, []string{"d0", "d2", "d4", "d6", "d8"}},
		"an unknown tag":           {push.Audience{Tag: "eve"}, nil},
		"a tag that is not text":   {push.Audience{Tag: "even\x00"}, nil},
		"the whole app":            {push.Audience{All: true}, []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"}},
	}
	both(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for i := range 10 {
			d := device(fmt.Sprintf("d%d", i))
			if i%3 != 0 {
				d.User = fmt.Sprintf("u%d", i%3)
			}
			if i%2 == 0 {
				d.Tags = []string{"even", "even"}
			}
			twin := *d
			twin.App, twin.ID = "other", "other-"+d.ID
			put(t, s, d, &twin)
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				for _, limit := range []int{1, 2, 3, 100} {
					if got := walk(t, s, tt.to, limit); !slices.Equal(got, tt.want) {
						t.Errorf("pages of %d = %v, want %v", limit, got, tt.want)
					}
				}
				if n, err := s.Count(t.Context(), "demo", tt.to); n != len(tt.want) || err != nil {
					t.Errorf("Count() = %d, %v; want %d", n, err, len(tt.want))
				}
			})
		}
		if _, err := s.Page(t.Context(), "demo", push.Audience{}, "", 10); err == nil {
			t.Error("Page() of nobody gives no error")
		}
		if _, err := s.Count(t.Context(), "demo", push.Audience{}); err == nil {
			t.Error("Count() of nobody gives no error")
		}
		if _, err := s.Page(t.Context(), "demo", push.Audience{Devices: []string{"d1", "d2"}}, "d3", 10); err == nil {
			t.Error("Page() behind a device that is not in the list gives no error: it would begin again for ever")
		}
	})
}

// walk goes through all pages and checks that only the last one is short.
func walk(t *testing.T, s *sqlstore.Store, to push.Audience, limit int) []string {
	t.Helper()
	var all []string
	for after := ""; ; {
		page, err := s.Page(t.Context(), "demo", to, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(page) < limit {
			return all
		}
		if after = page[len(page)-1]; len(all) > 100 {
			t.Fatalf("the pages never end: %v", all)
		}
	}
}
