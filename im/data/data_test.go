package data_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/logic"
	"github.com/herald-push/herald/internal/postgrestest"
)

// store is the contract: what the floor above needs, and what is told and erased.
type store interface {
	logic.Messages
	logic.Conversations
	logic.Members
	logic.Cursors
	logic.Rings
	logic.Friends
	EachOfUser(ctx context.Context, app, user string, tell func(what string, thing any) error) error
	OfUser(ctx context.Context, app, user string) (data.Trace, error)
}

// both runs a test of the contract against each store, new and running. again
// opens what the store keeps a second time, as another process would.
func both(t *testing.T, test func(t *testing.T, s store, again func() store)) {
	t.Helper()
	places := map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "im.db") },
		"postgres": func(t *testing.T) string { return postgrestest.URL(t) },
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := place(t)
			test(t, open(t, url), func() store { return open(t, url) })
		})
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		m := data.NewMemory()
		test(t, m, func() store { return m })
	})
}

// open opens a store that says messages until the test ends.
func open(t testing.TB, url string) *data.Store {
	t.Helper()
	s, err := data.Open(context.Background(), url, data.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx) // never fails
	}()
	t.Cleanup(func() {
		end()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// draft is a text from ann to bob.
func draft(text string) *im.Draft {
	body, _ := json.Marshal(map[string]string{"text": text})
	return &im.Draft{To: "bob", RingAfter: time.Hour, ChatMessage: im.ChatMessage{
		App: "demo", Sender: "ann", ClientID: text, Kind: im.KindText, Body: body,
	}}
}

func say(t testing.TB, s store, d *im.Draft) im.Said {
	t.Helper()
	said, err := s.Append(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *im.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("error = %v, want a refusal with code %s", err, code)
	}
}

// group makes a group of the users, the first its owner.
func group(t testing.TB, s store, id string, users ...string) {
	t.Helper()
	members := make([]im.Member, len(users))
	for i, u := range users {
		members[i] = im.Member{User: u, Role: im.Plain}
	}
	members[0].Role = im.Owner
	c := &im.Conversation{App: "demo", ID: id, Kind: im.Group, Title: id, Join: im.JoinInvite}
	if err := s.CreateConversation(t.Context(), c, members); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreNumberedWithoutAGap(t *testing.T) {
	both(t, func(t *testing.T, s store, again func() store) {
		second := again() // another process
		const senders, each = 8, 25
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for k := range each {
					d := draft(fmt.Sprintf("%d/%d", i, k))
					if i%2 == 1 {
						d.Sender, d.To = "bob", "ann"
					}
					if _, err := []store{s, second}[i/4].Append(t.Context(), d); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		all, err := s.History(t.Context(), "demo", im.DirectID("bob", "ann"), 0, 0, 1000)
		if err != nil || len(all) != senders*each {
			t.Fatalf("%d messages, %v; want %d", len(all), err, senders*each)
		}
		for i, m := range all {
			if m.Seq != uint64(i+1) {
				t.Fatalf("message %d has number %d", i, m.Seq)
			}
		}
	})
}

func TestTheSameMessageIsSaidOnce(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		first := say(t, s, draft("hi"))
		again := say(t, s, draft("hi"))
		if first.Seq != 1 || again.Seq != 1 || first.Repeated || !again.Repeated {
			t.Errorf("numbers %d, %d; repeated %v, %v", first.Seq, again.Seq, first.Repeated, again.Repeated)
		}
		other := draft("hi")
		other.Body = json.RawMessage(`{"text":"something else"}`)
		_, err := s.Append(t.Context(), other)
		refused(t, err, "conflict")

		var wg sync.WaitGroup
		for range 20 { // many at once share transactions
			wg.Go(func() { _, _ = s.Append(t.Context(), draft("at once")) })
		}
		wg.Wait()
		if m := say(t, s, draft("last")); m.Seq != 3 {
			t.Errorf("the next message has number %d, want 3", m.Seq)
		}
	})
}

func TestTheCheckSeesTheFacts(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		group(t, s, "g", "ann", "bob")
		if err := s.Block(t.Context(), "demo", "bob", "ann", true); err != nil {
			t.Fatal(err)
		}
		var seen im.Facts
		d := draft("hi")
		d.Check = func(f *im.Facts) error { seen = *f; return &im.Refusal{Code: "blocked"} }
		_, err := s.Append(t.Context(), d)
		refused(t, err, "blocked")
		if !seen.Blocked || seen.Friends || seen.Sender == nil || seen.Conversation.Kind != im.Direct {
			t.Errorf("facts of a blocked sender: %+v", seen)
		}
		if m, err := s.History(t.Context(), "demo", im.DirectID("ann", "bob"), 0, 0, 10); err != nil || len(m) != 0 {
			t.Errorf("a refused message was said: %v, %v", m, err)
		}
		d = draft("to the group")
		d.To, d.Conversation, d.Sender = "", "g", "eve"
		d.Check = func(f *im.Facts) error { seen = *f; return nil }
		say(t, s, d)
		if seen.Sender != nil || seen.Conversation.Members != 2 {
			t.Errorf("facts of a stranger: %+v", seen)
		}
		d = draft("nowhere")
		d.To, d.Conversation = "", "no such"
		_, err = s.Append(t.Context(), d)
		refused(t, err, "not_found")
	})
}

func TestRecallAndEditKeepTheirNumbers(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		say(t, s, draft("one"))
		say(t, s, draft("two"))
		edit := draft("edited")
		edit.Kind, edit.Target = im.KindEdit, 1
		recall := draft("recalled")
		recall.Kind, recall.Target, recall.Body = im.KindRecall, 2, json.RawMessage(`{}`)
		recall.Check = func(f *im.Facts) error {
			if f.Target == nil || f.Target.Seq != 2 || f.Target.Sender != "ann" {
				t.Errorf("target = %+v", f.Target)
			}
			return nil
		}
		say(t, s, edit)
		say(t, s, recall)
		all, err := s.Following(t.Context(), "demo", im.DirectID("ann", "bob"), 0, 10)
		if err != nil || len(all) != 4 {
			t.Fatalf("%d messages, %v", len(all), err)
		}
		if string(all[0].Body) != `{"text":"edited"}` || all[0].EditedAt.IsZero() {
			t.Errorf("edited message: %+v", all[0])
		}
		if string(all[1].Body) != `{}` || !all[1].Recalled {
			t.Errorf("recalled message: %+v", all[1])
		}
	})
}

func TestACursorFindsWhatChangedAndNothingElse(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		say(t, s, draft("hi"))
		group(t, s, "g", "bob", "cat")
		changes, cursor, more, err := s.Changes(t.Context(), "demo", "bob", 0, 100)
		if err != nil || more || len(changes) != 2 {
			t.Fatalf("changes %v, more %v, %v", changes, more, err)
		}
		if c := changes[0]; c.Unread != 1 || c.Last == nil || c.Last.Sender != "ann" || c.Peer != "ann" {
			t.Errorf("direct conversation: %+v", c)
		}
		if c, next, _, err := s.Changes(t.Context(), "demo", "bob", cursor, 100); err != nil || len(c) != 0 || next != cursor {
			t.Errorf("nothing happened, and yet: %v, cursor %d → %d, %v", c, cursor, next, err)
		}
		say(t, s, draft("again"))
		changes, _, _, err = s.Changes(t.Context(), "demo", "bob", cursor, 100)
		if err != nil || len(changes) != 1 || changes[0].Unread != 2 {
			t.Errorf("after one more message: %+v, %v", changes, err)
		}
		if _, err := s.RemoveMembers(t.Context(), "demo", "g", []string{"bob"}); err != nil {
			t.Fatal(err)
		}
		changes, _, _, err = s.Changes(t.Context(), "demo", "bob", cursor, 100)
		gone := slices.ContainsFunc(changes, func(c im.Change) bool { return c.ID == "g" && c.Gone })
		if err != nil || !gone {
			t.Errorf("after leaving: %+v, %v", changes, err)
		}
	})
}

func TestPagesOfChangesMissNothing(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		const n = 23
		for i := range n {
			d := draft(fmt.Sprint(i))
			d.Sender, d.To = fmt.Sprintf("user%d", i), "bob"
			say(t, s, d)
		}
		var cursor uint64
		seen := map[string]bool{}
		for more := true; more; {
			var changes []im.Change
			var err error
			if changes, cursor, more, err = s.Changes(t.Context(), "demo", "bob", cursor, 5); err != nil {
				t.Fatal(err)
			}
			for _, c := range changes {
				seen[c.Peer] = true
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d conversations", len(seen), n)
		}
	})
}

func TestCursorsNeverFallAndNeverPassTheHead(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		for i := range 5 {
			say(t, s, draft(fmt.Sprint(i)))
		}
		id := im.DirectID("ann", "bob")
		at := func(received, read uint64) im.Cursor {
			return im.Cursor{App: "demo", User: "bob", Conversation: id, Received: received, Read: read}
		}
		for _, tt := range []struct {
			cursors        []im.Cursor
			received, read uint64
		}{
			{[]im.Cursor{at(2, 0)}, 2, 0},
			{[]im.Cursor{at(1, 0)}, 2, 0},
			{[]im.Cursor{at(0, 3)}, 3, 3},
			{[]im.Cursor{at(4, 1), at(3, 2)}, 4, 3},
			{[]im.Cursor{at(1<<63, 1<<63)}, 5, 5},
		} {
			if err := s.Advance(t.Context(), tt.cursors...); err != nil {
				t.Fatal(err)
			}
			_, me, err := s.Conversation(t.Context(), "demo", id, "bob")
			if err != nil || me.Received != tt.received || me.Read != tt.read {
				t.Errorf("after %v: %+v, %v; want received %d, read %d", tt.cursors, me, err, tt.received, tt.read)
			}
		}
		if n, err := s.Unread(t.Context(), "demo", "bob"); err != nil || n != 0 {
			t.Errorf("%d unread, %v", n, err)
		}
	})
}

func TestWhoTakesNothingIsRungForOnce(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		group(t, s, "g", "ann", "bob", "cat", "dan", "eve")
		if err := s.SetMember(t.Context(), "demo", "g", &im.Member{User: "dan", Silent: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.SetMember(t.Context(), "demo", "g", &im.Member{User: "eve", Silent: true}); err != nil {
			t.Fatal(err)
		}
		d := draft("hi")
		d.To, d.Conversation, d.RingAfter, d.Mentions = "", "g", 0, []string{"eve"}
		m := say(t, s, d)
		if err := s.Advance(t.Context(), im.Cursor{App: "demo", User: "cat", Conversation: "g", Received: m.Seq}); err != nil {
			t.Fatal(err)
		}
		rings, err := s.Due(t.Context(), time.Hour, 100)
		if err != nil {
			t.Fatal(err)
		}
		// ann spoke, cat has it, dan wants silence, eve was called by name.
		var rung []string
		for _, r := range rings {
			rung = append(rung, r.User)
		}
		slices.Sort(rung)
		if !slices.Equal(rung, []string{"bob", "eve"}) {
			t.Errorf("rings for %v, want bob and eve", rung)
		}
		if i := slices.IndexFunc(rings, func(r im.Ring) bool { return r.User == "bob" }); i >= 0 {
			if r := rings[i]; r.Unread != 1 || r.Badge != 1 || r.Seq != m.Seq {
				t.Errorf("ring %+v", r)
			}
		}
		if again, err := s.Due(t.Context(), time.Hour, 100); err != nil || len(again) != 0 {
			t.Errorf("rings taken twice: %v, %v", again, err)
		}
		d = draft("more")
		d.To, d.Conversation, d.RingAfter = "", "g", 0
		say(t, s, d)
		if err := s.Rung(t.Context(), rings, 0); err != nil {
			t.Fatal(err)
		}
		again, err := s.Due(t.Context(), time.Hour, 100)
		bob := slices.ContainsFunc(again, func(r im.Ring) bool { return r.User == "bob" && r.Unread == 2 })
		if err != nil || !bob {
			t.Errorf("what was said while it rang: %+v, %v", again, err)
		}
		if err := s.Rung(t.Context(), again, 0); err != nil {
			t.Fatal(err)
		}
		if last, err := s.Due(t.Context(), time.Hour, 100); err != nil || len(last) != 0 {
			t.Errorf("rings again: %v, %v", last, err)
		}
	})
}

func TestWhatWasAnnouncedDelaysNoRing(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		group(t, s, "g", "ann", "bob")
		news := draft("bob came")
		news.To, news.Conversation, news.Sender, news.Kind, news.RingAfter = "", "g", "", im.KindSystem, 100*365*24*time.Hour
		say(t, s, news)
		d := draft("hi")
		d.To, d.Conversation, d.RingAfter = "", "g", 0
		say(t, s, d)
		rings, err := s.Due(t.Context(), time.Hour, 100)
		if err != nil || len(rings) != 1 || rings[0].User != "bob" {
			t.Errorf("rings %+v, %v; want one for bob", rings, err)
		}
	})
}

func TestLargeGroupsMoveNoCursor(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		users := make([]string, im.SmallGroup+10)
		for i := range users {
			users[i] = fmt.Sprintf("u%04d", i)
		}
		group(t, s, "crowd", users...)
		_, cursor, _, err := s.Changes(t.Context(), "demo", "u0007", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		d := draft("all")
		d.To, d.Conversation, d.Sender = "", "crowd", "u0000"
		if m := say(t, s, d); m.Hearers != nil {
			t.Errorf("%d hearers of a large group", len(m.Hearers))
		}
		changes, next, _, err := s.Changes(t.Context(), "demo", "u0007", cursor, 10)
		if err != nil || next != cursor || len(changes) != 1 || changes[0].Unread != 1 {
			t.Errorf("changes %+v, cursor %d → %d, %v", changes, cursor, next, err)
		}
	})
}

func TestMembersComeAndGo(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		group(t, s, "g", "ann", "bob")
		d := draft("before")
		d.To, d.Conversation = "", "g"
		roster := say(t, s, d).Roster
		n, err := s.PutMembers(t.Context(), "demo", "g", []im.Member{{User: "cat", Role: im.Plain}, {User: "dan", Role: im.Asking}})
		if err != nil || n != 3 {
			t.Fatalf("%d members, %v; want 3: who asks is none yet", n, err)
		}
		_, cat, err := s.Conversation(t.Context(), "demo", "g", "cat")
		if err != nil || cat.Joined != 1 || cat.Role != im.Plain {
			t.Errorf("cat: %+v, %v", cat, err)
		}
		if n, err = s.RemoveMembers(t.Context(), "demo", "g", []string{"bob"}); err != nil || n != 2 {
			t.Errorf("%d members, %v", n, err)
		}
		if _, bob, err := s.Conversation(t.Context(), "demo", "g", "bob"); err != nil || bob != nil {
			t.Errorf("bob: %+v, %v", bob, err)
		}
		d = draft("after")
		d.To, d.Conversation = "", "g"
		after := say(t, s, d)
		again := draft("and after")
		again.To, again.Conversation = "", "g"
		if next := say(t, s, again); after.Roster != roster+2 || next.Roster != after.Roster {
			t.Errorf("roster %d, then two changes, then %d and %d", roster, after.Roster, next.Roster)
		}
		page, err := s.Members(t.Context(), "demo", "g", "ann", 10)
		if err != nil || len(page) != 2 || page[0].User != "cat" {
			t.Errorf("page %+v, %v", page, err)
		}
		_, err = s.PutMembers(t.Context(), "demo", "no such", []im.Member{{User: "cat", Role: im.Plain}})
		refused(t, err, "not_found")
		refused(t, s.CreateConversation(t.Context(), &im.Conversation{App: "demo", ID: "g", Kind: im.Group}, nil), "conflict")
	})
}

func TestFriendsAndBlocks(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		ctx := t.Context()
		set := func(mine, theirs im.FriendState) func(im.FriendState) (im.FriendState, im.FriendState, error) {
			return func(im.FriendState) (im.FriendState, im.FriendState, error) { return mine, theirs, nil }
		}
		if err := s.Befriend(ctx, "demo", "ann", "bob", "it is me", set(im.Requested, im.Waiting)); err != nil {
			t.Fatal(err)
		}
		var now im.FriendState
		err := s.Befriend(ctx, "demo", "bob", "ann", "", func(s im.FriendState) (im.FriendState, im.FriendState, error) {
			now = s
			return im.Friends, im.Friends, nil
		})
		if err != nil || now != im.Waiting {
			t.Errorf("bob saw %q, %v", now, err)
		}
		if err := s.Remark(ctx, "demo", "bob", "ann", "Annie"); err != nil {
			t.Error(err)
		}
		friends, err := s.Friends(ctx, "demo", "bob", "", 10)
		if err != nil || len(friends) != 1 || friends[0].Remark != "Annie" || friends[0].State != im.Friends || friends[0].Text != "it is me" {
			t.Errorf("friends %+v, %v", friends, err)
		}
		if err := s.Befriend(ctx, "demo", "ann", "bob", "", set("", "")); err != nil {
			t.Error(err)
		}
		refused(t, s.Remark(ctx, "demo", "bob", "ann", "x"), "not_found")
		for _, on := range []bool{true, true, false} {
			if err := s.Block(ctx, "demo", "ann", "eve", on); err != nil {
				t.Error(err)
			}
			blocked, err := s.Blocked(ctx, "demo", "ann", "", 10)
			if err != nil || len(blocked) == 1 != on {
				t.Errorf("blocked %v, %v", blocked, err)
			}
		}
	})
}

func TestReactionsAreCountedOncePerUser(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		m := say(t, s, draft("hi"))
		for _, user := range []string{"bob", "bob", "cat"} {
			if err := s.React(t.Context(), "demo", m.Conversation, m.Seq, user, "👍", true); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, s.React(t.Context(), "demo", m.Conversation, 99, "bob", "👍", true), "not_found")
		if err := s.React(t.Context(), "demo", m.Conversation, m.Seq, "cat", "👍", false); err != nil {
			t.Fatal(err)
		}
		got, err := s.History(t.Context(), "demo", m.Conversation, 0, 0, 10)
		if err != nil || got[0].Reactions["👍"] != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAnErasedUserIsNowhere(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		m := say(t, s, draft("my secret"))
		say(t, s, draft("my other secret"))
		group(t, s, "g", "cat", "ann")
		n, err := s.EraseUser(t.Context(), "demo", "ann")
		if err != nil || n != 2 {
			t.Fatalf("%d messages emptied, %v", n, err)
		}
		got, err := s.History(t.Context(), "demo", m.Conversation, 0, 0, 10)
		if err != nil || len(got) != 2 || got[0].Sender != "" || string(got[0].Body) != "{}" || got[1].Seq != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if c, me, err := s.Conversation(t.Context(), "demo", "g", "ann"); err != nil || me != nil || c.Members != 1 {
			t.Errorf("%+v, %+v, %v", c, me, err)
		}
	})
}

func TestAUserIsToldAllThatIsTheirsOnceAndNothingElse(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		group(t, s, "g", "cat", "ann")
		const many = 1001 // two pages and one more
		drafts := make([]*im.Draft, many)
		for i := range drafts {
			drafts[i] = draft(fmt.Sprintf("hello %d", i))
		}
		var wg sync.WaitGroup
		errs := make(chan error, many)
		for _, d := range drafts {
			wg.Go(func() {
				_, err := s.Append(t.Context(), d)
				errs <- err
			})
		}
		wg.Wait()
		for range many {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		answer := draft("from bob")
		answer.Sender, answer.To = "bob", "ann"
		direct := say(t, s, answer).Conversation
		for _, emoji := range []string{"👍", "🎉"} {
			if err := s.React(t.Context(), "demo", direct, 1, "ann", emoji, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.React(t.Context(), "demo", direct, 1, "bob", "👎", true); err != nil {
			t.Fatal(err)
		}
		if err := s.Block(t.Context(), "demo", "ann", "eve", true); err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		seen := map[string]bool{}
		err := s.EachOfUser(t.Context(), "demo", "ann", func(what string, thing any) error {
			told[what]++
			text, err := json.Marshal(thing)
			if err != nil || seen[what+string(text)] {
				t.Errorf("%s twice, or not JSON (%v): %s", what, err, text)
			}
			if seen[what+string(text)] = true; strings.Contains(string(text), "from bob") {
				t.Errorf("%s tells what bob said: %s", what, text)
			}
			return nil
		})
		if want := map[string]int{"conversation": 2, "message": many, "reaction": 2, "block": 1}; err != nil || !maps.Equal(told, want) {
			t.Errorf("told %v, want %v; %v", told, want, err)
		}
		enough := errors.New("enough")
		if err := s.EachOfUser(t.Context(), "demo", "ann", func(string, any) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("error = %v, want that of the listener", err)
		}
	})
}

func TestWhatWasAnsweredSurvivesTheProcess(t *testing.T) {
	both(t, func(t *testing.T, s store, again func() store) {
		m := say(t, s, draft("hi"))
		other := again()
		got, err := other.History(t.Context(), "demo", m.Conversation, 0, 0, 10)
		if err != nil || len(got) != 1 || got[0].ClientID != "hi" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestWhatIsOldIsForgottenAndTheRestKeepsItsNumbers(t *testing.T) {
	both(t, func(t *testing.T, s store, _ func() store) {
		year := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 7 {
			d := draft(fmt.Sprint("old ", i))
			d.At = year.Add(time.Duration(i) * time.Hour)
			if m := say(t, s, d); !m.At.Equal(d.At) {
				t.Errorf("said at %s, want %s", m.At, d.At)
			}
		}
		m := say(t, s, draft("new"))
		other := draft("elsewhere")
		other.To = "cat"
		say(t, s, other)
		for _, seq := range []uint64{1, m.Seq} {
			if err := s.React(t.Context(), "demo", m.Conversation, seq, "bob", "👍", true); err != nil {
				t.Fatal(err)
			}
		}
		var forgotten int64
		for at, more := "", true; more; more = at != "" {
			next, n, err := s.Forget(t.Context(), "demo", year.Add(5*time.Hour), at, 1)
			if err != nil || next != "" && next <= at {
				t.Fatalf("Forget() after %q: %q, %v", at, next, err)
			}
			at, forgotten = next, forgotten+n
		}
		left, err := s.Following(t.Context(), "demo", m.Conversation, 0, 100)
		if err != nil || forgotten != 5 || len(left) != 3 || left[0].Seq != 6 || left[2].Seq != 8 || left[2].Reactions["👍"] != 1 {
			t.Errorf("%d forgotten, %+v left, %v", forgotten, left, err)
		}
		if next := say(t, s, draft("next")); next.Seq != 9 {
			t.Errorf("the next message has number %d, want 9", next.Seq)
		}
		if _, n, err := s.Forget(t.Context(), "demo", time.Now().Add(time.Hour), "", 100); n != 5 || err != nil {
			t.Errorf("%d forgotten at last, %v", n, err)
		}
		if c, _, _, err := s.Changes(t.Context(), "demo", "bob", 0, 10); err != nil || len(c) != 1 || c[0].Last != nil || c[0].Head != 9 {
			t.Errorf("a conversation whose words are forgotten: %+v, %v", c, err)
		}
	})
}

// BenchmarkAppend says one-to-one messages from many senders at once.
func BenchmarkAppend(b *testing.B) {
	for name, place := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(b.TempDir(), "im.db") },
		"postgres": func() string { return postgrestest.URL(b) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open(b, place())
			work := make(chan int, 256)
			var wg sync.WaitGroup
			for range 512 {
				wg.Go(func() {
					for i := range work {
						d := draft(fmt.Sprint(i))
						d.Sender, d.To = fmt.Sprintf("u%d", i%1000), fmt.Sprintf("u%d", (i+1)%1000)
						if _, err := s.Append(context.Background(), d); err != nil {
							b.Error(err)
						}
					}
				})
			}
			i := 0
			for b.Loop() {
				work <- i
				i++
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
