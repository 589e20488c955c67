package fcm

import (
	"context"
	"testing"

	"github.com/herald-push/herald/providers/sandbox"
)

func TestTwinTakesEveryFieldThatGoogleDocuments(t *testing.T) {
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	p, err := New(box.Credentials("fcm"))
	if err != nil {
		t.Fatal(err)
	}
	for name, overrides := range map[string]string{"nothing said": `{}`, "data only": `{"data_only":true}`, "everything": everything} {
		if _, err := p.Send(t.Context(), overridden(overrides)); err != nil {
			t.Errorf("%s: Send() error = %v", name, err)
		}
	}
}
