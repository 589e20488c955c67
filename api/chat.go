package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/push"
)

// Chat is what people say to each other: the floor that decides about it, in
// three parts. What may not be is an [*im.Refusal].
type Chat struct {
	Talk   Talk
	Groups Groups
	People People
}

// Talk is messages, and how far users have come in them.
type Talk interface {
	Send(ctx context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error)
	Notify(ctx context.Context, who im.Actor, m im.ChatMessage, to string) (im.Said, error)
	Import(ctx context.Context, who im.Actor, i im.Import) (im.Imported, error)
	Export(ctx context.Context, who im.Actor, conversation string, tell func(what string, thing any) error) error
	Edit(ctx context.Context, who im.Actor, conversation string, seq uint64, body json.RawMessage) (im.Said, error)
	Recall(ctx context.Context, who im.Actor, conversation string, seq uint64) (im.Said, error)
	React(ctx context.Context, who im.Actor, conversation string, seq uint64, emoji string, on bool) error
	History(ctx context.Context, who im.Actor, conversation string, after, before uint64, limit int) ([]im.ChatMessage, error)
	Changes(ctx context.Context, who im.Actor, after uint64, limit int) (changes []im.Change, next uint64, more bool, err error)
	Unread(ctx context.Context, who im.Actor) (uint64, error)
	Mark(ctx context.Context, who im.Actor, conversation string, received, read uint64) error
	Typing(ctx context.Context, who im.Actor, conversation string) error
}

// Groups is conversations and who is in them.
type Groups interface {
	CreateGroup(ctx context.Context, who im.Actor, c im.Conversation, users []string) (*im.Conversation, error)
	Conversation(ctx context.Context, who im.Actor, id string) (*im.Conversation, *im.Member, error)
	SetGroup(ctx context.Context, who im.Actor, id string, change func(*im.Conversation)) (*im.Conversation, error)
	Silence(ctx context.Context, who im.Actor, id string, silent bool) error
	Members(ctx context.Context, who im.Actor, id, after string, limit int) ([]im.Member, error)
	Add(ctx context.Context, who im.Actor, id string, users []string) (*im.Conversation, error)
	Join(ctx context.Context, who im.Actor, id string) (waits bool, err error)
	SetRole(ctx context.Context, who im.Actor, id, user string, role im.Role) error
	Mute(ctx context.Context, who im.Actor, id, user string, until time.Time) error
	Remove(ctx context.Context, who im.Actor, id, user string) error
}

// People is how users stand to each other.
type People interface {
	Ask(ctx context.Context, who im.Actor, friend, text string) (im.FriendState, error)
	Answer(ctx context.Context, who im.Actor, friend string, accept bool) error
	Unfriend(ctx context.Context, who im.Actor, friend string) error
	Remark(ctx context.Context, who im.Actor, friend, remark string) error
	Friends(ctx context.Context, who im.Actor, after string, limit int) ([]im.Friend, error)
	Block(ctx context.Context, who im.Actor, user string, on bool) error
	Blocked(ctx context.Context, who im.Actor, after string, limit int) ([]string, error)
	Online(ctx context.Context, who im.Actor, users []string) ([]bool, error)
	EraseUser(ctx context.Context, who im.Actor, user string) (int64, error)
}

// chatRoutes are the paths below /v1/im.
func (s *Server) chatRoutes() {
	e, talk := s.echo, s.talking
	e.POST("/v1/im/messages", talk(told(messageForm, messageRequest.check, s.sendMessage)))
	e.GET("/v1/im/changes", talk(s.listChanges))
	e.POST("/v1/im/groups", talk(told(groupForm, groupRequest.check, s.createGroup)))

	e.GET("/v1/im/conversations/:conversation", talk(s.getConversation))
	e.PATCH("/v1/im/conversations/:conversation", talk(told(groupChangeForm, nil, s.changeGroup)))
	e.POST("/v1/im/conversations/:conversation/cursor", talk(told(cursorForm, cursorRequest.check, s.moveCursor)))
	e.POST("/v1/im/conversations/:conversation/typing", talk(s.tellTyping))
	e.POST("/v1/im/conversations/:conversation/join", talk(s.joinGroup))
	e.PUT("/v1/im/conversations/:conversation/silence", talk(told(silenceForm, nil, s.silence)))

	e.GET("/v1/im/conversations/:conversation/messages", talk(s.listMessages))
	e.PATCH("/v1/im/conversations/:conversation/messages/:seq", talk(told(bodyForm, nil, s.editMessage)))
	e.DELETE("/v1/im/conversations/:conversation/messages/:seq", talk(s.recallMessage))
	e.PUT("/v1/im/conversations/:conversation/messages/:seq/reactions/:emoji", talk(s.react(true)))
	e.DELETE("/v1/im/conversations/:conversation/messages/:seq/reactions/:emoji", talk(s.react(false)))

	e.GET("/v1/im/conversations/:conversation/members", talk(s.listMembers))
	e.POST("/v1/im/conversations/:conversation/members", talk(told(usersForm, nil, s.addMembers)))
	e.PATCH("/v1/im/conversations/:conversation/members/:user", talk(told(memberChangeForm, memberChange.check, s.changeMember)))
	e.DELETE("/v1/im/conversations/:conversation/members/:user", talk(s.removeMember))

	e.GET("/v1/im/friends", talk(s.listFriends))
	e.PUT("/v1/im/friends/:user", talk(told(askForm, nil, s.askFriend)))
	e.PATCH("/v1/im/friends/:user", talk(told(friendChangeForm, friendChange.check, s.changeFriend)))
	e.DELETE("/v1/im/friends/:user", talk(s.deleteFriend))
	e.GET("/v1/im/blocks", talk(s.listBlocks))
	e.PUT("/v1/im/blocks/:user", talk(s.block(true)))
	e.DELETE("/v1/im/blocks/:user", talk(s.block(false)))
	e.POST("/v1/im/online", talk(told(usersForm, checkOnline, s.online)))

	e.POST("/v1/im/import", s.keyed(ScopeAdmin, s.importMessages))
	e.GET("/v1/im/conversations/:conversation/export", s.unhurried(ScopeAdmin, s.exportConversation))
	e.DELETE("/v1/im/users/:user", s.keyed(ScopeAdmin, s.eraseUser))
}

// asks is what a handler of chat does. What it returns is the answer: nil is 204,
// what is [made] 201, all else 200.
type asks = func(c echo.Context, who im.Actor) (any, error)

// made is an answer of what is there only now.
type made struct{ thing any }

// talking guards a handler of chat. A device speaks for its user; a key with
// the scope send for the user that the query parameter "as" names, or for the
// service itself.
func (s *Server) talking(do asks) echo.HandlerFunc {
	return func(c echo.Context) error {
		return s.within(c, func(ctx context.Context) error {
			who, err := s.actor(ctx, c)
			if err != nil {
				return err
			}
			if err := s.charge(who.App, 1); err != nil {
				return err
			}
			thing, err := do(c, who)
			if err != nil {
				return chatError(err)
			}
			switch t := thing.(type) {
			case nil:
				return c.NoContent(http.StatusNoContent)
			case made:
				return c.JSON(http.StatusCreated, t.thing)
			default:
				return c.JSON(http.StatusOK, t)
			}
		})
	}
}

// told is a handler whose body is a T, in which check, if given, finds more faults
// than its form does.
func told[T any](f form[T], check func(req T, who im.Actor, fs *faults), do func(c echo.Context, who im.Actor, req T) (any, error)) asks {
	return func(c echo.Context, who im.Actor) (any, error) {
		req, fs, err := read(c, maxSmall, f)
		if err != nil {
			return nil, err
		}
		if check != nil {
			check(req, who, &fs)
		}
		if err := fs.err(); err != nil {
			return nil, err
		}
		return do(c, who, req)
	}
}

func (s *Server) actor(ctx context.Context, c echo.Context) (im.Actor, error) {
	who, err := s.holder(ctx, c.Request())
	if err != nil {
		return im.Actor{}, err
	}
	if who.device == "" {
		if !allows(who.scopes, ScopeSend) {
			return im.Actor{}, &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the key lacks the scope send"}
		}
		return im.Actor{App: who.app, User: c.QueryParam("as"), Service: true}, nil
	}
	d, err := s.parts.Devices.Device(ctx, who.app, who.device)
	if errors.Is(err, push.ErrNotFound) || err == nil && d.User == "" {
		return im.Actor{}, &refusal{status: http.StatusForbidden, code: "forbidden", detail: "the device belongs to no user: register it with one"}
	}
	if err != nil {
		return im.Actor{}, err
	}
	return im.Actor{App: who.app, User: d.User}, nil
}

// chatError gives a refusal of the floor below its status.
func chatError(err error) error {
	var r *im.Refusal
	switch {
	case !errors.As(err, &r):
		if errors.Is(err, im.ErrAway) {
			return errors.Join(push.ErrAway, err)
		}
		return err
	case r.Code == "not_found":
		return &refusal{status: http.StatusNotFound, code: r.Code, detail: r.Detail}
	case r.Code == "conflict":
		return &refusal{status: http.StatusConflict, code: "id_conflict", detail: r.Field + " " + r.Detail}
	case r.Code == "invalid", r.Code == "too_large", r.Code == "too_many":
		return &push.Invalid{Faults: []push.Fault{{Field: r.Field, Detail: r.Detail}}}
	case r.Code == "rate_limited":
		return &refusal{status: http.StatusTooManyRequests, code: r.Code, detail: r.Detail, retryAfter: time.Second}
	default:
		return &refusal{status: http.StatusForbidden, code: r.Code, detail: r.Detail}
	}
}

// seqOf reads the number of the message that the path names.
func seqOf(c echo.Context) (uint64, error) {
	seq, err := number(c.Param("seq"))
	if err != nil {
		return 0, notFound("message")
	}
	return seq, nil
}

// number reads a message's number.
func number(text string) (uint64, error) { return strconv.ParseUint(text, 10, 63) }

// react serves PUT and DELETE on a reaction.
func (s *Server) react(on bool) asks {
	return func(c echo.Context, who im.Actor) (any, error) {
		seq, err := seqOf(c)
		if err != nil {
			return nil, err
		}
		emoji, err := url.PathUnescape(c.Param("emoji"))
		if err != nil {
			return nil, notFound("reaction")
		}
		return nil, s.parts.Chat.Talk.React(c.Request().Context(), who, c.Param("conversation"), seq, emoji, on)
	}
}

// page reads the query of a list whose places are numbers or names.
type page struct {
	after, before uint64
	name          string
	limit         int
}

const (
	usualPage = 50
	maxPage   = 500
)

func pageOf(c echo.Context) (page, error) {
	p, fs := page{limit: usualPage, name: c.QueryParam("after")}, faults{}
	p.after, p.before = readNumber(c, "after", &fs), readNumber(c, "before", &fs)
	p.readLimit(c, &fs)
	return p, fs.err()
}

func readNumber(c echo.Context, field string, fs *faults) uint64 {
	text := c.QueryParam(field)
	if text == "" {
		return 0
	}
	n, err := number(text)
	if err != nil {
		fs.add(field, "must be a number from 0")
	}
	return n
}

// namesOf is [pageOf] where the places are names.
func namesOf(c echo.Context) (page, error) {
	p, fs := page{limit: usualPage, name: c.QueryParam("after")}, faults{}
	p.readLimit(c, &fs)
	return p, fs.err()
}

func (p *page) readLimit(c echo.Context, fs *faults) {
	text := c.QueryParam("limit")
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		fs.addf("limit", "must be a number from 1 to %d", maxPage)
	}
	p.limit = n
}

// orEmpty makes an empty list of nil, which JSON would call null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
