package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/push"
)

func connect(t *testing.T) redis.UniversalClient {
	t.Helper()
	return connectTo(t, redistest.Start(t))
}

func connectTo(t *testing.T, srv *redistest.Server) redis.UniversalClient {
	t.Helper()
	rdb, err := Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// connectToTheDead returns a client whose Redis has been killed.
func connectToTheDead(t *testing.T) redis.UniversalClient {
	t.Helper()
	srv := redistest.Start(t)
	rdb := connectTo(t, srv)
	srv.Kill()
	return rdb
}

func note(id string) *push.Notification {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return &push.Notification{App: "demo", ID: id, Class: push.Chat, AcceptedAt: now, ExpiresAt: now.Add(time.Hour)}
}

func TestCellsSurviveTheirText(t *testing.T) {
	stages := rapid.SampledFrom([]push.Stage{
		"", push.Accepted, push.HandedOver, push.Delivered, push.Displayed, push.Clicked,
		push.Unknown, push.Failed, push.Expired, push.Cancelled, push.Suppressed,
	})
	holds := rapid.SampledFrom([]Hold{
		{}, {Kind: Waiting}, {Kind: Retry, At: 17, Provider: "apns"}, {Kind: Claimed, At: 18, Owner: "o:1", Provider: "fcm"},
	})
	rapid.Check(t, func(t *rapid.T) {
		c := Cell{
			Stage: stages.Draw(t, "stage"), Attempt: rapid.IntRange(0, 99).Draw(t, "attempt"),
			Since: rapid.Int64Range(0, 1<<45).Draw(t, "since"), Tried: rapid.StringMatching(`([a-z]+-?(\+[a-z]+-?)*)?`).Draw(t, "tried"),
			Hold: holds.Draw(t, "hold"), Device: rapid.String().Draw(t, "device"),
			Wait: rapid.Int64Range(0, 1<<30).Draw(t, "wait"), Held: rapid.Int64Range(0, 1<<45).Draw(t, "held"),
		}
		got, err := parseCell(c.String())
		if err != nil || got != c {
			t.Fatalf("parseCell(%q) = %+v, %v; want %+v", c.String(), got, err, c)
		}
	})
}

func TestCellKnowsWhatItTried(t *testing.T) {
	var c Cell
	c.Try("live", 1)
	c.Try("apns", 2)
	c.Try("apns", 3)
	if c.Tried != "live+apns" || c.Since != 2 || c.LastTried() != "apns" {
		t.Errorf("cell = %+v", c)
	}
	if !c.HasTried("live") || !c.HasTried("apns") || c.HasTried("ap") || c.HasTried("") {
		t.Errorf("HasTried is wrong for %q", c.Tried)
	}
	c.Stage = push.Accepted
	c.Deny("apns")
	c.Deny("fcm") // which was not used
	if c.Tried != "live+apns-" || !c.Denied("apns") || c.Denied("live") || c.LastTried() != "apns" || c.AttemptOf("apns") != 2 || c.Void() {
		t.Errorf("one no: %+v", c)
	}
	c.Deny("live")
	if c.Deny("live"); c.Tried != "live-+apns-" || !c.Void() {
		t.Errorf("all say no: %+v", c)
	}
	if c.Reopen("apns"); c.Tried != "live-+apns" || c.Void() {
		t.Errorf("one is tried again: %+v", c)
	}
}

func TestDevicesSurviveTheirBytes(t *testing.T) {
	words := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		d := &push.Device{
			App: "demo", ID: words.Draw(t, "id"), User: words.Draw(t, "user"), Platform: "ios", Model: words.Draw(t, "model"),
			Timezone: words.Draw(t, "zone"), CreatedAt: time.UnixMicro(rapid.Int64Range(-1e15, 1e15).Draw(t, "at")).UTC(),
		}
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			d.Addresses = append(d.Addresses, push.Address{Provider: words.Draw(t, "provider"), Token: words.Draw(t, "token")})
			d.Tags = append(d.Tags, words.Draw(t, "tag"))
		}
		if rapid.Bool().Draw(t, "located") {
			d.Location = &push.Location{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lon: 7}
		}
		text := string(encodeDevice(d))
		if got := decodeDevice(text); fmt.Sprint(got, got.Location) == "" || string(encodeDevice(got)) != text {
			t.Fatalf("decodeDevice = %+v, want %+v", got, d)
		}
		if cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut"); decodeDevice(text[:cut]) != nil {
			t.Fatalf("%d of %d bytes made a device", cut, len(text))
		}
	})
}

func TestAcceptTellsNewFromRepeatedFromConflicting(t *testing.T) {
	j := NewJournal(connect(t))
	n, a, b := note("n1"), [32]byte{1}, [32]byte{2}
	accept := func(h [32]byte) Verdict {
		t.Helper()
		v, err := j.Accept(t.Context(), []Entry{{Notification: n, Hash: h, Devices: 200}})
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	if v := accept(a); v.Conflict || v.Queued || v.First != n {
		t.Errorf("new: %+v", v)
	}
	if v := accept(a); v.Queued || v.First.ID != "n1" {
		t.Errorf("repeated before it was queued: %+v", v)
	}
	if err := j.Queued(t.Context(), []Ref{{"demo", "n1"}}); err != nil {
		t.Fatal(err)
	}
	if v := accept(a); !v.Queued {
		t.Errorf("repeated: %+v", v)
	}
	if v := accept(b); !v.Conflict {
		t.Errorf("another body: %+v", v)
	}
	records, err := j.Load(t.Context(), []Ref{{"demo", "n1"}, {"demo", "n2"}})
	if err != nil {
		t.Fatal(err)
	}
	if r := records[0]; !r.Expanded || r.Chunks != 1 || r.Devices != 200 || records[1] != nil {
		t.Errorf("records = %+v, %v", r, records[1])
	}
}

func TestFirstWriterOfAChunkWins(t *testing.T) {
	j := NewJournal(connect(t))
	c := Chunk{note("n1"), 0}
	for i, devices := range [][]string{{"a", "b,c", "d"}, {"x"}} {
		made, err := j.Make(t.Context(), []Chunk{c}, [][]string{devices})
		if err != nil || made[0] != (i == 0) {
			t.Fatalf("Make() = %v, %v", made, err)
		}
	}
	if n, last, err := j.Tail(t.Context(), c); n != 3 || last != "d" || err != nil {
		t.Errorf("Tail() = %d, %q, %v", n, last, err)
	}
	slots, err := j.Read(t.Context(), []Chunk{c, {note("n2"), 0}}, [][]int{{1, 7}, nil})
	if err != nil || len(slots[0]) != 1 || slots[0][0].Cell.Device != "b,c" || len(slots[1]) != 0 {
		t.Errorf("Read() = %+v, %v", slots, err)
	}
}

func TestClaimHoldsOnlyOnWhatWasSeen(t *testing.T) {
	j := NewJournal(connect(t))
	c := Chunk{note("n1"), 0}
	if _, err := j.Make(t.Context(), []Chunk{c}, [][]string{{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	claim := func(owner string) []Slot {
		t.Helper()
		be := Cell{Device: "a", Hold: Hold{Kind: Claimed, Owner: owner, At: 1}}
		refused, err := j.Claim(t.Context(), []Chunk{c}, [][]Claim{{{Index: 0, Seen: Cell{Device: "a"}, Be: be}}})
		if err != nil {
			t.Fatal(err)
		}
		return refused[0]
	}
	if refused := claim("one"); len(refused) != 0 {
		t.Errorf("the first claim was refused: %+v", refused)
	}
	if refused := claim("two"); len(refused) != 1 || refused[0].Cell.Hold.Owner != "one" {
		t.Errorf("the second claim: refused = %+v, want the cell of the first", refused)
	}
}

// Each case is what happens to one delivery, in order.
func TestProofIsNeverLowered(t *testing.T) {
	tests := map[string]struct {
		settled, raised []push.Stage // settled first
		want            push.Stage
		counts          push.Counts
	}{
		"accepted":                   {[]push.Stage{push.Accepted}, nil, push.Accepted, push.Counts{Accepted: 1}},
		"seen":                       {[]push.Stage{push.Accepted}, []push.Stage{push.Delivered, push.Displayed}, push.Displayed, push.Counts{Accepted: 1, Delivered: 1, Displayed: 1}},
		"reports out of order":       {[]push.Stage{push.Accepted}, []push.Stage{push.Clicked, push.Delivered}, push.Clicked, push.Counts{Accepted: 1, Delivered: 1, Displayed: 1, Clicked: 1}},
		"delivered twice":            {[]push.Stage{push.Accepted}, []push.Stage{push.Delivered, push.Delivered}, push.Delivered, push.Counts{Accepted: 1, Delivered: 1}},
		"unknown, but it came":       {[]push.Stage{push.Unknown}, []push.Stage{push.Delivered}, push.Delivered, push.Counts{Accepted: 1, Delivered: 1}},
		"failed, but it came":        {[]push.Stage{push.Failed}, []push.Stage{push.Delivered}, push.Delivered, push.Counts{Accepted: 1, Delivered: 1}},
		"unknown, then next took it": {[]push.Stage{push.Unknown, push.Accepted}, nil, push.Accepted, push.Counts{Accepted: 1}},
		"accepted, vendor says no":   {[]push.Stage{push.Accepted}, []push.Stage{push.Failed}, push.Accepted, push.Counts{Accepted: 1}},
		"expired":                    {[]push.Stage{push.Expired}, nil, push.Expired, push.Counts{Expired: 1}},
		"cancelled":                  {[]push.Stage{push.Cancelled}, nil, push.Cancelled, push.Counts{Cancelled: 1}},
	}
	j := NewJournal(connect(t))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Chunk{note(strings.ReplaceAll(name, " ", "-")), 0}
			if _, err := j.Make(t.Context(), []Chunk{c}, [][]string{{"phone"}}); err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.settled {
				if err := j.Settle(t.Context(), []Chunk{c}, [][]Slot{{{0, Cell{Stage: s, Attempt: 1, Tried: "apns"}}}}); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range tt.raised {
				known, err := j.Raise(t.Context(), []Proof{{App: "demo", Notification: c.Notification.ID, Stage: s, Device: "phone"}})
				if err != nil || known[0] == nil {
					t.Fatalf("Raise() = %v, %v", known, err)
				}
			}
			slots, err := j.Read(t.Context(), []Chunk{c}, [][]int{nil})
			if err != nil || slots[0][0].Cell.Stage != tt.want {
				t.Errorf("cell = %+v, %v; want %s", slots, err, tt.want)
			}
			if got, _, err := j.Counts(t.Context(), "demo", c.Notification.ID, 1); got != tt.counts || err != nil {
				t.Errorf("counts = %+v, %v; want %+v", got, err, tt.counts)
			}
		})
	}
}

// What a provider took falls only once all that were used have taken it back.
func TestWhatProvidersTakeBackFalls(t *testing.T) {
	fails := Cell{Stage: push.Failed, Attempt: 1, Tried: "apns"}
	tests := map[string]struct {
		before Cell
		proofs []Proof
		then   Cell
		want   push.Stage
		tried  string
		counts push.Counts
	}{
		"the only one": {
			Cell{Stage: push.Accepted, Tried: "apns"}, []Proof{{InVain: "apns"}}, fails, push.Failed, "apns-", push.Counts{Failed: 1},
		},
		"nobody": {
			Cell{Stage: push.Accepted, Tried: "apns"}, nil, fails, push.Accepted, "apns", push.Counts{Accepted: 1},
		},
		"another": {
			Cell{Stage: push.Accepted, Tried: "apns"}, []Proof{{InVain: "fcm"}}, fails, push.Accepted, "apns", push.Counts{Accepted: 1},
		},
		"one of two": {
			Cell{Stage: push.Accepted, Tried: "apns+fcm"}, []Proof{{InVain: "apns"}}, Cell{Stage: push.Failed, Tried: "apns+fcm"},
			push.Accepted, "apns-+fcm", push.Counts{Accepted: 1},
		},
		"both of two": {
			Cell{Stage: push.HandedOver, Tried: "apns+fcm"}, []Proof{{InVain: "fcm"}, {InVain: "apns"}}, Cell{Stage: push.Failed, Tried: "apns+fcm"},
			push.Failed, "apns-+fcm-", push.Counts{Failed: 1},
		},
		"one whose answer is not known yet": {
			Cell{Tried: "apns-", Hold: Hold{Kind: Claimed, At: 1, Owner: "o", Provider: "fcm"}}, []Proof{{InVain: "fcm"}},
			Cell{Stage: push.Accepted, Tried: "apns-+fcm"}, push.Accepted, "apns-+fcm-", push.Counts{Accepted: 1},
		},
		"one, and it came": {
			Cell{Stage: push.Accepted, Tried: "apns"}, []Proof{{InVain: "apns"}, {Stage: push.Delivered}}, fails,
			push.Delivered, "apns-", push.Counts{Accepted: 1, Delivered: 1},
		},
	}
	j := NewJournal(connect(t))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Chunk{note(strings.ReplaceAll(name, " ", "-")), 0}
			if _, err := j.Make(t.Context(), []Chunk{c}, [][]string{{"phone"}}); err != nil {
				t.Fatal(err)
			}
			settle := func(cell Cell) {
				t.Helper()
				if err := j.Settle(t.Context(), []Chunk{c}, [][]Slot{{{0, cell}}}); err != nil {
					t.Fatal(err)
				}
			}
			settle(tt.before)
			for _, p := range tt.proofs {
				p.App, p.Notification, p.Device = "demo", c.Notification.ID, "phone"
				if p.Stage == "" {
					p.Stage = push.Failed
				}
				if known, err := j.Raise(t.Context(), []Proof{p}); err != nil || known[0] == nil {
					t.Fatalf("Raise() = %v, %v", known, err)
				}
			}
			settle(tt.then)
			slots, err := j.Read(t.Context(), []Chunk{c}, [][]int{nil})
			if err != nil || slots[0][0].Cell.Stage != tt.want || slots[0][0].Cell.Tried != tt.tried {
				t.Errorf("cell = %+v, %v; want %s tried %s", slots, err, tt.want, tt.tried)
			}
			if got, _, err := j.Counts(t.Context(), "demo", c.Notification.ID, 1); got != tt.counts || err != nil {
				t.Errorf("counts = %+v, %v; want %+v", got, err, tt.counts)
			}
		})
	}
}

func TestScriptsComeBackAfterRedisForgotThem(t *testing.T) {
	rdb := connect(t)
	j := NewJournal(rdb)
	for i := range 2 {
		if _, err := j.Make(t.Context(), []Chunk{{note("n1"), i}}, [][]string{{"a"}}); err != nil {
			t.Fatal(err)
		}
		rdb.ScriptFlush(t.Context())
	}
}

func TestRedisAwayIsErrAway(t *testing.T) {
	rdb := connectToTheDead(t)
	if _, err := NewJournal(rdb).Accept(t.Context(), []Entry{{Notification: note("n1")}}); !errors.Is(err, push.ErrAway) {
		t.Errorf("Accept() = %v, want ErrAway", err)
	}
	if err := Ping(t.Context(), rdb); !errors.Is(err, push.ErrAway) {
		t.Errorf("Ping() = %v, want ErrAway", err)
	}
}

func TestInboxKeepsTheNewest(t *testing.T) {
	b := NewInbox(connect(t))
	expires := time.Now().Add(time.Hour)
	for i := range inboxSize + 10 {
		l := Letter{
			App: "demo", Device: "phone", Delivery: fmt.Sprintf("n%d.0.0", i),
			Payload: fmt.Appendf(nil, `{"sent_at":"2026-01-01T00:%02d:%02dZ"}`, i/60, i%60), Expires: expires,
		}
		if err := b.Put(t.Context(), []Letter{l}); err != nil {
			t.Fatal(err)
		}
	}
	letters, err := b.List(t.Context(), "demo", "phone")
	if err != nil || len(letters) != inboxSize || letters["n9.0.0"] != "" || letters["n10.0.0"] == "" {
		t.Errorf("the inbox has %d letters, %v", len(letters), err)
	}
	if err := b.Drop(t.Context(), []Letter{{App: "demo", Device: "phone", Delivery: "n10.0.0"}}); err != nil {
		t.Fatal(err)
	}
	if letters, _ := b.List(t.Context(), "demo", "phone"); letters["n10.0.0"] != "" {
		t.Error("a dropped letter is still there")
	}
}

func TestInboxLivesAsLongAsItsLongestLetter(t *testing.T) {
	rdb := connect(t)
	b := NewInbox(rdb)
	for _, hours := range []time.Duration{1, 5, 2} {
		l := Letter{App: "demo", Device: "phone", Delivery: fmt.Sprint(hours), Payload: []byte(`{}`), Expires: time.Now().Add(hours * time.Hour)}
		if err := b.Put(t.Context(), []Letter{l}); err != nil {
			t.Fatal(err)
		}
	}
	if ttl := rdb.TTL(t.Context(), inboxKey("demo", "phone")).Val(); ttl < 4*time.Hour || ttl > 6*time.Hour {
		t.Errorf("the inbox lives for %v, want 5 h", ttl)
	}
}

// shelf is a source that counts the questions.
type shelf struct {
	devices map[string]*push.Device
	asked   []string
}

func (s *shelf) Devices(_ context.Context, _ string, ids []string) ([]*push.Device, error) {
	s.asked = append(s.asked, strings.Join(ids, " "))
	all := make([]*push.Device, len(ids))
	for i, id := range ids {
		all[i] = s.devices[id]
	}
	return all, nil
}

func (s *shelf) Count(context.Context, string, push.Audience) (int, error) { return 0, nil }

func (s *shelf) Page(context.Context, string, push.Audience, string, int) ([]string, error) {
	return []string{"a", "b"}, nil
}

func (s *shelf) Owners(_ context.Context, _, _ string, tokens []string) ([]string, error) {
	return make([]string, len(tokens)), nil
}

func (s *shelf) Forget(_ context.Context, _, device string, _ push.Address) error {
	s.devices[device].Addresses = nil
	return nil
}

func TestDevicesAreReadThroughTheCache(t *testing.T) {
	s := &shelf{devices: map[string]*push.Device{}}
	for _, id := range []string{"a", "b", "c"} {
		s.devices[id] = &push.Device{App: "demo", ID: id, Addresses: []push.Address{{Provider: "apns", Token: "t"}}}
	}
	d := NewDevices(connect(t), s)
	read := func(ids ...string) []*push.Device {
		t.Helper()
		found, err := d.Devices(t.Context(), "demo", ids)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	read("a", "b")
	if got := read("a", "nobody", "c", "b"); got[0].ID != "a" || got[1] != nil || got[2].ID != "c" || got[3].ID != "b" {
		t.Errorf("Devices() = %v", got)
	}
	if err := d.Forget(t.Context(), "demo", "a", push.Address{Provider: "apns"}); err != nil {
		t.Fatal(err)
	}
	if got := read("a", "b"); len(got[0].Addresses) != 0 {
		t.Errorf("a forgotten address is still there: %+v", got[0])
	}
	if want := "[a b nobody c a]"; fmt.Sprint(s.asked) != want {
		t.Errorf("asked the source for %q, want %s", s.asked, want)
	}
}

func TestDevicesAreFoundWithoutRedis(t *testing.T) {
	d := NewDevices(connectToTheDead(t), &shelf{devices: map[string]*push.Device{"a": {ID: "a"}}})
	found, err := d.Devices(t.Context(), "demo", []string{"a"})
	if err != nil || found[0] == nil {
		t.Errorf("Devices() = %v, %v", found, err)
	}
}

func TestConnectHidesSecrets(t *testing.T) {
	for _, at := range []string{"redis://user:s3cret@host:port:1/x", "http://:s3cret@h", "redis+cluster://u:s3cret@"} {
		if _, err := Connect(at); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Connect(%q) = %v", at, err)
		}
	}
}
