package logic

import (
	"context"

	"github.com/herald-push/herald/im"
)

// Ask asks another user to be friends. Where they had asked before, both are
// friends at once.
func (l *Logic) Ask(ctx context.Context, who im.Actor, friend, text string) (im.FriendState, error) {
	if friend == "" || friend == who.User || len(friend) > maxUser {
		return "", refuse("invalid", "user", "must be another user")
	}
	if len(text) > maxTitle*4 {
		return "", refuse("invalid", "text", "more than %d bytes", maxTitle*4)
	}
	var became im.FriendState
	err := l.parts.Friends.Befriend(ctx, who.App, who.User, friend, text, func(now im.FriendState) (mine, theirs im.FriendState, err error) {
		switch now {
		case im.Friends, im.Waiting:
			became = im.Friends
			return im.Friends, im.Friends, nil
		default:
			became = im.Requested
			return im.Requested, im.Waiting, nil
		}
	})
	if err != nil {
		return "", err
	}
	return became, l.stir(ctx, who.App, friend)
}

// Answer accepts or refuses what another user asked.
func (l *Logic) Answer(ctx context.Context, who im.Actor, friend string, accept bool) error {
	err := l.parts.Friends.Befriend(ctx, who.App, who.User, friend, "", func(now im.FriendState) (mine, theirs im.FriendState, err error) {
		switch {
		case now != im.Waiting:
			return "", "", refuse("not_found", "user", "nobody of this name has asked")
		case accept:
			return im.Friends, im.Friends, nil
		default:
			return "", im.Refusing, nil
		}
	})
	if err != nil {
		return err
	}
	return l.stir(ctx, who.App, friend)
}

// Unfriend ends a friendship or takes a request back, for both.
func (l *Logic) Unfriend(ctx context.Context, who im.Actor, friend string) error {
	err := l.parts.Friends.Befriend(ctx, who.App, who.User, friend, "", func(im.FriendState) (mine, theirs im.FriendState, err error) {
		return "", "", nil
	})
	if err != nil {
		return err
	}
	return l.stir(ctx, who.App, friend)
}

// Remark keeps the user's own name for a friend.
func (l *Logic) Remark(ctx context.Context, who im.Actor, friend, remark string) error {
	if len(remark) > maxTitle*4 {
		return refuse("invalid", "remark", "more than %d bytes", maxTitle*4)
	}
	return l.parts.Friends.Remark(ctx, who.App, who.User, friend, remark)
}

// Friends lists friends and open requests by id, after one.
func (l *Logic) Friends(ctx context.Context, who im.Actor, after string, limit int) ([]im.Friend, error) {
	return l.parts.Friends.Friends(ctx, who.App, who.User, after, limit)
}

// Block keeps another user from writing to this one.
func (l *Logic) Block(ctx context.Context, who im.Actor, user string, on bool) error {
	if user == "" || user == who.User || len(user) > maxUser {
		return refuse("invalid", "user", "must be another user")
	}
	return l.parts.Friends.Block(ctx, who.App, who.User, user, on)
}

// Blocked lists whom the user has blocked, by id, after one.
func (l *Logic) Blocked(ctx context.Context, who im.Actor, after string, limit int) ([]string, error) {
	return l.parts.Friends.Blocked(ctx, who.App, who.User, after, limit)
}

// Online tells which users have a connected device.
func (l *Logic) Online(ctx context.Context, who im.Actor, users []string) ([]bool, error) {
	return l.parts.Live.Online(ctx, who.App, users)
}

// EraseUser forgets a user. It returns how many messages were emptied.
func (l *Logic) EraseUser(ctx context.Context, who im.Actor, user string) (int64, error) {
	return l.parts.Messages.EraseUser(ctx, who.App, user)
}

// stir has a user's devices look at their friends again.
func (l *Logic) stir(ctx context.Context, app, user string) error {
	f := frame{ID: passing + newID(), Type: "friends"}
	m, err := f.message(l.now().Add(fleeting))
	if err != nil {
		return err
	}
	return l.parts.Live.Hand(ctx, app, []string{user}, m, nil)
}
