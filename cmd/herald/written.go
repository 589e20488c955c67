package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// written makes a change of the command line as the API makes those of callers:
// it is in the audit before it is made, with who was at the keyboard, and how it
// ended afterwards. before and after are shown there, so they hold no secrets;
// do returns after.
func written(ctx context.Context, store *sqlstore.Store, app, action, target string, before any, do func() (after any, err error)) error {
	c := push.Change{
		ID: uuid.Must(uuid.NewV7()).String(), App: app, At: time.Now().UTC(), Who: atKeyboard(), Via: "command", Action: action, Target: target,
	}
	var err error
	if c.Before, err = shown(before); err != nil {
		return err
	}
	if err := store.BeginChange(ctx, &c); err != nil {
		return err
	}
	after, done := do()
	status := http.StatusOK
	switch {
	case errors.Is(done, push.ErrNotFound):
		status = http.StatusNotFound
	case done != nil:
		status = http.StatusInternalServerError
	}
	text, err := shown(after)
	return errors.Join(done, err, store.EndChange(ctx, c.ID, status, text))
}

// shown is what the audit shows of a thing; nothing of nothing.
func shown(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write for the audit: %w", err)
	}
	return text, nil
}

// atKeyboard is who runs the command, as the machine knows them.
func atKeyboard() string {
	name, host := "somebody", "a machine"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
