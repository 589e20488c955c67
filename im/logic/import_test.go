package logic_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
)

func TestWhatIsImportedRingsForNobodyAndIsThereOnce(t *testing.T) {
	w := open(t, nil)
	w.connect("ann", "bob")
	ctx, service := t.Context(), im.Actor{App: "demo", Service: true}
	old := im.Import{Between: []string{"bob", "ann"}}
	for i := range 5 {
		m := text(fmt.Sprint("old ", i))
		m.Sender, m.ClientID, m.At = []string{"ann", "bob"}[i%2], fmt.Sprint("import-", i), time.Date(2025, 1, 1, i, 0, 0, 0, time.UTC)
		old.Messages = append(old.Messages, m)
	}
	id := im.DirectID("ann", "bob")
	if done, err := w.Import(ctx, service, old); err != nil || done != (im.Imported{Conversation: id, Imported: 5, Head: 5}) {
		t.Fatalf("Import() = %+v, %v", done, err)
	}
	if done, err := w.Import(ctx, service, old); err != nil || done != (im.Imported{Conversation: id, Repeated: 5, Head: 5}) {
		t.Fatalf("the same once more: %+v, %v", done, err)
	}
	w.send(user("ann"), text("new"), "bob")
	eventually(t, "bob hears what is new", func() bool { return slices.Equal(w.texts("bob"), []string{"new"}) })
	if n, err := w.Unread(ctx, user("bob")); err != nil || n != 1 {
		t.Errorf("bob has %d unread, %v; want the new one", n, err)
	}

	var told []string
	err := w.Export(ctx, service, id, func(what string, thing any) error {
		if m, ok := thing.(im.ChatMessage); ok {
			what += fmt.Sprint(" ", m.Seq, " ", m.At.Year() == 2025)
		}
		told = append(told, what)
		return nil
	})
	want := []string{"conversation", "member", "member", "message 1 true", "message 2 true", "message 3 true", "message 4 true", "message 5 true", "message 6 false"}
	if err != nil || !slices.Equal(told, want) {
		t.Errorf("exported %q, %v", told, err)
	}
}

func TestWhatCannotBeImported(t *testing.T) {
	w := open(t, nil)
	service := im.Actor{App: "demo", Service: true}
	good := text("hi")
	good.Sender, good.ClientID, good.At = "ann", "i-1", time.Now().Add(-time.Hour)
	with := func(change func(*im.ChatMessage)) []im.ChatMessage {
		m := good
		change(&m)
		return []im.ChatMessage{good, m}
	}
	both := []string{"ann", "bob"}
	tests := map[string]struct {
		i    im.Import
		want string
	}{
		"no such conversation": {im.Import{Conversation: "nowhere", Messages: []im.ChatMessage{good}}, "not_found"},
		"a third person":       {im.Import{Between: both, Messages: with(func(m *im.ChatMessage) { m.Sender = "eve" })}, "invalid"},
		"nobody":               {im.Import{Between: both, Messages: with(func(m *im.ChatMessage) { m.Sender = "" })}, "invalid"},
		"to oneself":           {im.Import{Between: []string{"ann", "ann"}, Messages: []im.ChatMessage{good}}, "invalid"},
		"no client id":         {im.Import{Between: both, Messages: with(func(m *im.ChatMessage) { m.ClientID = "" })}, "invalid"},
		"Herald's own kind":    {im.Import{Between: both, Messages: with(func(m *im.ChatMessage) { m.Kind = im.KindRecall })}, "invalid"},
		"no body":              {im.Import{Between: both, Messages: with(func(m *im.ChatMessage) { m.Body = nil })}, "invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			done, err := w.Import(t.Context(), service, tt.i)
			if got := code(t, err); got != tt.want {
				t.Errorf("Import() = %v, want %s", err, tt.want)
			}
			if done.Imported != 0 {
				t.Errorf("%d were imported all the same", done.Imported)
			}
		})
	}
}
