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
	e.POST("/v1/im/messages", talk(s.sendMessage))
	e.GET("/v1/im/changes", talk(s.listChanges))
	e.POST("/v1/im/groups", talk(s.createGroup))

	e.GET("/v1/im/conversations/:conversation", talk(s.getConversation))
	e.PATCH("/v1/im/conversations/:conversation", talk(s.changeGroup))
	e.POST("/v1/im/conversations/:conversation/cursor", talk(s.moveCursor))
	e.POST("/v1/im/conversations/:conversation/typing", talk(s.tellTyping))
	e.POST("/v1/im/conversations/:conversation/join", talk(s.joinGroup))
	e.PUT("/v1/im/conversations/:conversation/silence", talk(s.silence))

	e.GET("/v1/im/conversations/:conversation/messages", talk(s.listMessages))
	e.PATCH("/v1/im/conversations/:conversation/messages/:seq", talk(s.editMessage))
	e.DELETE("/v1/im/conversations/:conversation/messages/:seq", talk(s.recallMessage))
	e.PUT("/v1/im/conversations/:conversation/messages/:seq/reactions/:emoji", talk(s.react(true)))
	e.DELETE("/v1/im/conversations/:conversation/messages/:seq/reactions/:emoji", talk(s.react(false)))

	e.GET("/v1/im/conversations/:conversation/members", talk(s.listMembers))
	e.POST("/v1/im/conversations/:conversation/members", talk(s.addMembers))
	e.PATCH("/v1/im/conversations/:conversation/members/:user", talk(s.changeMember))
	e.DELETE("/v1/im/conversations/:conversation/members/:user", talk(s.removeMember))

	e.GET("/v1/im/friends", talk(s.listFriends))
	e.PUT("/v1/im/friends/:user", talk(s.askFriend))
	e.PATCH("/v1/im/friends/:user", talk(s.changeFriend))
	e.DELETE("/v1/im/friends/:user", talk(s.deleteFriend))
	e.GET("/v1/im/blocks", talk(s.listBlocks))
	e.PUT("/v1/im/blocks/:user", talk(s.block(true)))
	e.DELETE("/v1/im/blocks/:user", talk(s.block(false)))
	e.POST("/v1/im/online", talk(s.online))
	e.DELETE("/v1/im/users/:user", s.keyed(ScopeAdmin, s.eraseUser))
}

// talking guards a handler of chat. A device speaks for its user; a key with
// the scope send for the user that the query parameter "as" names, or for the
// service itself.
func (s *Server) talking(h func(echo.Context, im.Actor) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		return s.within(c, func(ctx context.Context) error {
			who, err := s.actor(ctx, c)
			if err != nil {
				return err
			}
			if err := s.charge(who.App, 1); err != nil {
				return err
			}
			return chatError(h(c, who))
		})
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

type messageRequest struct {
	To           string          `json:"to"`
	Conversation string          `json:"conversation"`
	ClientID     string          `json:"client_id"`
	Kind         string          `json:"kind"`
	Body         json.RawMessage `json:"body"`
	ReplyTo      int             `json:"reply_to"`
	Mentions     []string        `json:"mentions"`
}

var messageForm = newForm[messageRequest]()

// sendMessage serves POST /v1/im/messages. It answers once the message is
// durable and has its number; the same client id again answers the same.
func (s *Server) sendMessage(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, messageForm)
	if err != nil {
		return err
	}
	if req.ReplyTo < 0 {
		fs.add("reply_to", "must be the number of a message")
	}
	if who.User == "" {
		fs.add("as", "a service says in whose name it speaks, in the query")
	}
	if err := fs.err(); err != nil {
		return err
	}
	said, err := s.parts.Chat.Talk.Send(c.Request().Context(), who, im.ChatMessage{
		Conversation: req.Conversation, Sender: who.User, ClientID: req.ClientID, Kind: req.Kind, Body: req.Body,
		ReplyTo: uint64(req.ReplyTo), Mentions: req.Mentions,
	}, req.To)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if said.Repeated {
		status = http.StatusOK
	}
	return c.JSON(status, said.ChatMessage)
}

type bodyRequest struct {
	Body json.RawMessage `json:"body"`
}

var bodyForm = newForm[bodyRequest]()

// editMessage serves PATCH on a message.
func (s *Server) editMessage(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, bodyForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	seq, err := number(c.Param("seq"))
	if err != nil {
		return notFound("message")
	}
	said, err := s.parts.Chat.Talk.Edit(c.Request().Context(), who, c.Param("conversation"), seq, req.Body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, said.ChatMessage)
}

// recallMessage serves DELETE on a message.
func (s *Server) recallMessage(c echo.Context, who im.Actor) error {
	seq, err := number(c.Param("seq"))
	if err != nil {
		return notFound("message")
	}
	said, err := s.parts.Chat.Talk.Recall(c.Request().Context(), who, c.Param("conversation"), seq)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, said.ChatMessage)
}

// react serves PUT and DELETE on a reaction.
func (s *Server) react(on bool) func(echo.Context, im.Actor) error {
	return func(c echo.Context, who im.Actor) error {
		seq, err := number(c.Param("seq"))
		if err != nil {
			return notFound("message")
		}
		emoji, err := url.PathUnescape(c.Param("emoji"))
		if err != nil {
			return notFound("reaction")
		}
		if err := s.parts.Chat.Talk.React(c.Request().Context(), who, c.Param("conversation"), seq, emoji, on); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
}

// number reads a message's number.
func number(text string) (uint64, error) { return strconv.ParseUint(text, 10, 63) }

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

type messagesResponse struct {
	Messages []im.ChatMessage `json:"messages"`
}

// listMessages serves GET on a conversation's messages.
func (s *Server) listMessages(c echo.Context, who im.Actor) error {
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	found, err := s.parts.Chat.Talk.History(c.Request().Context(), who, c.Param("conversation"), p.after, p.before, p.limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, messagesResponse{orEmpty(found)})
}

type changesResponse struct {
	Changes []im.Change `json:"changes"`
	Next    uint64      `json:"next"`
	More    bool        `json:"more"`
	Unread  uint64      `json:"unread"`
}

// listChanges serves GET /v1/im/changes: the conversations that have moved
// since a cursor.
func (s *Server) listChanges(c echo.Context, who im.Actor) error {
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	changes, next, more, err := s.parts.Chat.Talk.Changes(ctx, who, p.after, p.limit)
	if err != nil {
		return err
	}
	unread, err := s.parts.Chat.Talk.Unread(ctx, who)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, changesResponse{orEmpty(changes), next, more, unread})
}

// orEmpty makes an empty list of nil, which JSON would call null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type cursorRequest struct {
	Received int `json:"received"`
	Read     int `json:"read"`
}

var cursorForm = newForm[cursorRequest]()

// moveCursor serves POST on a conversation's cursor.
func (s *Server) moveCursor(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, cursorForm)
	if err != nil {
		return err
	}
	if req.Received < 0 {
		fs.add("received", "must be the number of a message")
	}
	if req.Read < 0 {
		fs.add("read", "must be the number of a message")
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Chat.Talk.Mark(c.Request().Context(), who, c.Param("conversation"), uint64(req.Received), uint64(req.Read)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// tellTyping serves POST on typing.
func (s *Server) tellTyping(c echo.Context, who im.Actor) error {
	if err := s.parts.Chat.Talk.Typing(c.Request().Context(), who, c.Param("conversation")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
