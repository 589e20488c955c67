package logic_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/logic"
)

func TestWhatIsSaidIsHeardInOrder(t *testing.T) {
	w := open(t, nil)
	w.connect("ann", "bob")
	var want []string
	for i := range 30 {
		words := fmt.Sprint("word ", i)
		want = append(want, words)
		w.send(user("ann"), text(words), "bob")
	}
	for _, hearer := range []string{"bob", "ann"} { // the sender's other devices too
		eventually(t, hearer+" hears all", func() bool { return len(w.texts(hearer)) == len(want) })
		if got := w.texts(hearer); !slices.Equal(got, want) {
			t.Errorf("%s heard %v", hearer, got)
		}
	}
	eventually(t, "the acknowledgements are kept", func() bool {
		_, bob, err := w.Conversation(t.Context(), user("bob"), im.DirectID("ann", "bob"))
		return err == nil && bob.Received == 30
	})
}

func TestTheBellRingsForThoseWhoDoNotHear(t *testing.T) {
	w := open(t, nil)
	w.connect("ann", "cat")
	id := w.group(im.JoinInvite, "ann", "bob", "cat", "dan")
	if err := w.Silence(t.Context(), user("dan"), id, true); err != nil {
		t.Fatal(err)
	}
	w.send(user("ann"), in(id, text("hi")), "")
	eventually(t, "bob, who is away, is rung for", func() bool { return w.rungFor("bob") == 1 })
	if n := w.rungFor("ann") + w.rungFor("cat") + w.rungFor("dan"); n != 0 {
		t.Errorf("%d rings for the speaker, for one who heard, or for one who wants none", n)
	}
	if err := w.Mark(t.Context(), user("bob"), id, 0, 2); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Unread(t.Context(), user("bob")); err != nil || n != 0 {
		t.Errorf("unread %d, %v", n, err)
	}
	eventually(t, "the others see that bob has read", func() bool { return w.got("ann", "cursor") })
}

func TestWhatGetsLostOnTheWayComesAgain(t *testing.T) {
	w := open(t, nil)
	w.connect("ann", "bob")
	w.mu.Lock()
	w.losing["bob"] = 2 // the first try, and the second
	w.mu.Unlock()
	w.send(user("ann"), text("hi"), "bob")
	eventually(t, "bob, who is connected, hears it", func() bool { return slices.Equal(w.texts("bob"), []string{"hi"}) })
	eventually(t, "that he has it is known", func() bool {
		_, bob, err := w.Conversation(t.Context(), user("bob"), im.DirectID("ann", "bob"))
		return err == nil && bob.Received == 1
	})
	w.send(user("ann"), text("again"), "bob")
	eventually(t, "bob hears the next", func() bool { return len(w.texts("bob")) == 2 })
	if n := w.rungFor("bob"); n != 1 {
		t.Errorf("%d rings for the one that got lost", n)
	}
}

func TestAServiceAccountSpeaksAndNobodyAnswers(t *testing.T) {
	w := open(t, nil)
	w.connect("ann")
	bank := im.Actor{App: "demo", User: "bank", Service: true}
	first, err := w.Notify(t.Context(), bank, text("your card was used"), "ann")
	if err != nil || first.Seq != 1 || first.Sender != "bank" {
		t.Fatalf("Notify() = %+v, %v", first, err)
	}
	if next, err := w.Notify(t.Context(), bank, text("and again"), "ann"); err != nil || next.Seq != 2 || next.Conversation != first.Conversation {
		t.Errorf("Notify() once more = %+v, %v", next, err)
	}
	if other, err := w.Notify(t.Context(), bank, text("to another"), "bob"); err != nil || other.Conversation == first.Conversation {
		t.Errorf("Notify() of another = %+v, %v", other, err)
	}
	eventually(t, "ann hears the account", func() bool { return slices.Equal(w.texts("ann"), []string{"your card was used", "and again"}) })
	c, me, err := w.Conversation(t.Context(), user("ann"), first.Conversation)
	if err != nil || c.Kind != im.System || c.Title != "bank" || me == nil {
		t.Errorf("the conversation is %+v, %+v, %v", c, me, err)
	}
	_, err = w.Send(t.Context(), user("ann"), in(first.Conversation, text("who is this?")), "")
	if got := code(t, err); got != "read_only" {
		t.Errorf("an answer: %v, want read_only", err)
	}
	if _, err := w.Notify(t.Context(), user("ann"), text("I am the bank"), "bob"); code(t, err) != "not_allowed" {
		t.Errorf("a user as an account: %v", err)
	}
	eventually(t, "bob, who is away, is rung for", func() bool { return w.rungFor("bob") == 1 })
}

func TestWhoMaySpeak(t *testing.T) {
	w := open(t, func(c *logic.Config) { c.Burst = 1000 })
	ctx := t.Context()
	id := w.group(im.JoinInvite, "own", "mem", "mut")
	if err := w.Mute(ctx, user("own"), id, "mut", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	quiet := w.group(im.JoinInvite, "own", "mem")
	if _, err := w.SetGroup(ctx, user("own"), quiet, func(c *im.Conversation) { c.Muted = true }); err != nil {
		t.Fatal(err)
	}
	if err := w.Block(ctx, user("bob"), "ann", true); err != nil {
		t.Fatal(err)
	}
	w.refuse = "swear"
	tests := map[string]struct {
		who  im.Actor
		m    im.ChatMessage
		to   string
		want string
	}{
		"a member":                     {user("mem"), in(id, text("a")), "", ""},
		"a stranger":                   {user("eve"), in(id, text("a")), "", "not_a_member"},
		"a muted member":               {user("mut"), in(id, text("a")), "", "muted"},
		"a member of a muted group":    {user("mem"), in(quiet, text("a")), "", "muted"},
		"the owner of a muted group":   {user("own"), in(quiet, text("a")), "", ""},
		"a blocked user":               {user("ann"), text("a"), "bob", "blocked"},
		"the one who blocked":          {user("bob"), text("a"), "ann", ""},
		"a service":                    {im.Actor{App: "demo", User: "eve", Service: true}, in(id, text("a")), "", ""},
		"a word that the screen knows": {user("mem"), in(id, text("swear")), "", "screened"},
		"no such conversation":         {user("mem"), in("nowhere", text("a")), "", "not_found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.m.ClientID = strings.ReplaceAll(name, " ", "-")
			_, err := w.Send(ctx, tt.who, tt.m, tt.to)
			if got := code(t, err); got != tt.want {
				t.Errorf("code %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestFriendsOnly(t *testing.T) {
	w := open(t, func(c *logic.Config) { c.FriendsOnly = true })
	ctx := t.Context()
	_, err := w.Send(ctx, user("ann"), text("hi"), "bob")
	if got := code(t, err); got != "not_friends" {
		t.Errorf("code %q", got)
	}
	w.connect("bob")
	if s, err := w.Ask(ctx, user("ann"), "bob", "it is me"); err != nil || s != im.Requested {
		t.Fatal(s, err)
	}
	if !w.got("bob", "friends") {
		t.Error("bob's device was not told that somebody asks")
	}
	if err := w.Answer(ctx, user("bob"), "ann", true); err != nil {
		t.Fatal(err)
	}
	w.send(user("ann"), text("hi again"), "bob")
	if err := w.Unfriend(ctx, user("bob"), "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Send(ctx, user("ann"), text("and again"), "bob")
	if got := code(t, err); got != "not_friends" {
		t.Errorf("code %q", got)
	}
	if got := code(t, w.Answer(ctx, user("bob"), "ann", true)); got != "not_found" {
		t.Errorf("an answer to nobody: %q", got)
	}
}

func TestBadMessagesNameTheirField(t *testing.T) {
	w := open(t, nil)
	long := strings.Repeat("x", 5001)
	tests := map[string]struct {
		m     im.ChatMessage
		to    string
		field string
	}{
		"to nobody":              {text("a"), "", "to"},
		"to two at once":         {in("g", text("a")), "bob", "to"},
		"to oneself":             {text("a"), "ann", "to"},
		"without a client id":    {im.ChatMessage{Body: json.RawMessage(`{"text":"a"}`)}, "bob", "client_id"},
		"an empty text":          {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`{"text":""}`)}, "bob", "body.text"},
		"a text that is none":    {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`{"text":5}`)}, "bob", "body.text"},
		"a long text":            {text(long), "bob", "client_id"},
		"a long text, short id":  {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`{"text":"` + long + `"}`)}, "bob", "body.text"},
		"no object":              {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`"a"`)}, "bob", "body"},
		"no JSON":                {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`{`)}, "bob", "body"},
		"a huge body":            {im.ChatMessage{ClientID: "c", Kind: im.KindCustom, Body: json.RawMessage(`{"a":"` + strings.Repeat("x", 17<<10) + `"}`)}, "bob", "body"},
		"an image without a url": {im.ChatMessage{ClientID: "c", Kind: im.KindImage, Body: json.RawMessage(`{}`)}, "bob", "body.url"},
		"a kind of ours":         {im.ChatMessage{ClientID: "c", Kind: im.KindRecall, Body: json.RawMessage(`{}`)}, "bob", "kind"},
		"many mentions":          {im.ChatMessage{ClientID: "c", Body: json.RawMessage(`{"text":"a"}`), Mentions: make([]string, 51)}, "bob", "mentions"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.m.Sender = "ann"
			_, err := w.Send(t.Context(), user("ann"), tt.m, tt.to)
			r, ok := err.(*im.Refusal)
			if !ok || r.Field != tt.field {
				t.Errorf("error %v, want a refusal of field %s", err, tt.field)
			}
		})
	}
}

func TestRecallAndEdit(t *testing.T) {
	w := open(t, func(c *logic.Config) { c.ChangeWithin = time.Hour })
	ctx := t.Context()
	id := w.group(im.JoinInvite, "own", "mem", "oth")
	m := w.send(user("mem"), in(id, text("oops")), "")
	edited := json.RawMessage(`{"text":"better"}`)
	for _, tt := range []struct {
		what string
		do   func() error
		want string
	}{
		{"another member edits", func() error { _, err := w.Edit(ctx, user("oth"), id, m.Seq, edited); return err }, "not_allowed"},
		{"another member recalls", func() error { _, err := w.Recall(ctx, user("oth"), id, m.Seq); return err }, "not_allowed"},
		{"the owner edits", func() error { _, err := w.Edit(ctx, user("own"), id, m.Seq, edited); return err }, "not_allowed"},
		{"a stranger recalls", func() error { _, err := w.Recall(ctx, user("eve"), id, m.Seq); return err }, "not_a_member"},
		{"what is not there", func() error { _, err := w.Recall(ctx, user("mem"), id, 99); return err }, "not_found"},
		{"Herald's own words", func() error { _, err := w.Recall(ctx, user("own"), id, 1); return err }, "not_allowed"},
		{"the sender edits", func() error { _, err := w.Edit(ctx, user("mem"), id, m.Seq, edited); return err }, ""},
		{"the owner recalls", func() error { _, err := w.Recall(ctx, user("own"), id, m.Seq); return err }, ""},
		{"twice", func() error { _, err := w.Recall(ctx, user("mem"), id, m.Seq); return err }, "recalled"},
	} {
		if got := code(t, tt.do()); got != tt.want {
			t.Errorf("%s: code %q, want %q", tt.what, got, tt.want)
		}
	}
	late := open(t, func(c *logic.Config) { c.ChangeWithin = 0 })
	old := late.send(user("ann"), text("a"), "bob")
	_, err := late.Recall(ctx, user("ann"), old.Conversation, old.Seq)
	if got := code(t, err); got != "too_late" {
		t.Errorf("late: %q", got)
	}
	if _, err := late.Recall(ctx, service, old.Conversation, old.Seq); err != nil {
		t.Errorf("a service may always: %v", err)
	}
}

func TestGroupsAreRun(t *testing.T) {
	w := open(t, nil)
	ctx := t.Context()
	id := w.group(im.JoinApproval, "own", "adm", "mem")
	add := func(who im.Actor, users ...string) error { _, err := w.Add(ctx, who, id, users); return err }
	join := func(who string, waits bool) error {
		got, err := w.Join(ctx, user(who), id)
		if err == nil && got != waits {
			return fmt.Errorf("waits %v, want %v", got, waits)
		}
		return err
	}
	for _, tt := range []struct {
		what string
		do   func() error
		want string
	}{
		{"the owner makes an admin", func() error { return w.SetRole(ctx, user("own"), id, "adm", im.Admin) }, ""},
		{"an admin makes an admin", func() error { return w.SetRole(ctx, user("adm"), id, "mem", im.Admin) }, "not_allowed"},
		{"a member adds", func() error { return add(user("mem"), "new") }, "not_allowed"},
		{"an admin adds", func() error { return add(user("adm"), "new") }, ""},
		{"nobody", func() error { return add(user("adm")) }, "invalid"},
		{"a nameless one", func() error { return add(user("adm"), "") }, "invalid"},
		{"a stranger asks", func() error { return join("ask", true) }, ""},
		{"and again", func() error { return join("ask", true) }, ""},
		{"who asks does not speak", func() error {
			_, err := w.Send(ctx, user("ask"), in(id, text("hi")), "")
			return err
		}, "not_a_member"},
		{"who asks does not read", func() error { _, err := w.History(ctx, user("ask"), id, 0, 0, 10); return err }, "not_found"},
		{"an admin lets in", func() error { return w.SetRole(ctx, user("adm"), id, "ask", im.Plain) }, ""},
		{"a member removes", func() error { return w.Remove(ctx, user("mem"), id, "ask") }, "not_allowed"},
		{"an admin removes the owner", func() error { return w.Remove(ctx, user("adm"), id, "own") }, "not_allowed"},
		{"an admin removes a member", func() error { return w.Remove(ctx, user("adm"), id, "ask") }, ""},
		{"a member leaves", func() error { return w.Remove(ctx, user("mem"), id, "mem") }, ""},
		{"the owner leaves", func() error { return w.Remove(ctx, user("own"), id, "own") }, "not_allowed"},
		{"the owner hands over", func() error { return w.SetRole(ctx, user("own"), id, "adm", im.Owner) }, ""},
		{"and leaves", func() error { return w.Remove(ctx, user("own"), id, "own") }, ""},
		{"a stranger changes the title", func() error {
			_, err := w.SetGroup(ctx, user("eve"), id, func(c *im.Conversation) { c.Title = "x" })
			return err
		}, "not_found"},
		{"a long title", func() error {
			_, err := w.SetGroup(ctx, user("adm"), id, func(c *im.Conversation) { c.Title = strings.Repeat("x", 101) })
			return err
		}, "invalid"},
	} {
		if got := code(t, tt.do()); got != tt.want {
			t.Errorf("%s: code %q, want %q", tt.what, got, tt.want)
		}
	}
	c, _, err := w.Conversation(ctx, user("adm"), id)
	if err != nil || c.Members != 2 { // adm and new
		t.Errorf("%+v, %v", c, err)
	}
	history, err := w.History(ctx, user("adm"), id, 0, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, m := range history {
		var b struct{ Event string }
		_ = json.Unmarshal(m.Body, &b)
		events = append(events, b.Event)
	}
	want := []string{"created", "role", "joined", "joined", "removed", "left", "role", "left"}
	if !slices.Equal(events, want) {
		t.Errorf("what the group was told: %v, want %v", events, want)
	}
}

func TestNewMembersSeeWhatIsNew(t *testing.T) {
	w := open(t, nil)
	ctx := t.Context()
	id := w.group(im.JoinOpen, "ann", "bob")
	w.send(user("ann"), in(id, text("before")), "")
	if waits, err := w.Join(ctx, user("cat"), id); err != nil || waits {
		t.Fatal(waits, err)
	}
	w.send(user("ann"), in(id, text("after")), "")
	for who, want := range map[string]int{"cat": 2, "bob": 4} { // joined and after; the two before
		got, err := w.History(ctx, user(who), id, 0, 0, 100)
		if err != nil || len(got) != want {
			t.Errorf("%s sees %d messages, %v; want %d", who, len(got), err, want)
		}
	}
	all, err := w.History(ctx, service, id, 0, 0, 100)
	if err != nil || len(all) != 4 {
		t.Errorf("a service sees %d messages, %v", len(all), err)
	}
}

func TestNobodyFloods(t *testing.T) {
	w := open(t, func(c *logic.Config) { c.Rate, c.Burst = 0.001, 3 })
	for i := range 3 {
		w.send(user("ann"), text(fmt.Sprint(i)), "bob")
	}
	_, err := w.Send(t.Context(), user("ann"), text("one more"), "bob")
	if got := code(t, err); got != "rate_limited" {
		t.Errorf("code %q", got)
	}
	w.send(user("eve"), text("another user"), "bob")
	w.connect("bob")
	for range 5 {
		if err := w.Typing(t.Context(), user("ann"), im.DirectID("ann", "bob")); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	typing := 0
	for _, f := range w.frames["bob"] {
		if f["type"] == "typing" {
			typing++
		}
	}
	if typing != 1 {
		t.Errorf("told of typing %d times within a second", typing)
	}
}

func TestMessageIDsLeadBack(t *testing.T) {
	m := im.ChatMessage{Conversation: "a:b", Seq: 42}
	c, seq, ok := logic.ParseMessageID(m.MessageID())
	if c != "a:b" || seq != 42 || !ok || !logic.IsChat(m.MessageID()) {
		t.Error(c, seq, ok)
	}
	for _, id := range []string{"", "im:", "im::1", "im:a:", "im:a:x", "n.0.0"} {
		if _, _, ok := logic.ParseMessageID(id); ok {
			t.Errorf("%q was taken for a message", id)
		}
	}
}
