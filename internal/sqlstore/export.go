package sqlstore

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald/push"
)

// exportPage is how many devices of a user are in memory at once.
const exportPage = 100

// EachOfUser tells what the user has said and each of their devices, whole, with
// addresses and tags. It ends with the first error of tell.
func (s *Store) EachOfUser(ctx context.Context, app, user string, tell func(what string, thing any) error) error {
	of, err := s.OfUser(ctx, app, user)
	if err != nil {
		return err
	}
	if of.User > 0 {
		said, err := s.User(ctx, app, user)
		if err == nil {
			err = tell("user", said)
		}
		if err != nil && !errors.Is(err, push.ErrNotFound) {
			return err
		}
	}
	for ids := range slices.Chunk(of.Devices, exportPage) {
		devices, err := s.Devices(ctx, app, ids)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d == nil || d.User != user { // gone, or another's, meanwhile
				continue
			}
			if err := tell("device", d); err != nil {
				return err
			}
			consents, err := s.Consents(ctx, app, []string{d.ID})
			if err != nil {
				return err
			}
			if !consents[0].UpdatedAt.IsZero() {
				if err := tell("consent", consents[0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
