package api

import (
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/im"
)

type messageRequest struct {
	To           string          `json:"to"`
	Conversation string          `json:"conversation"`
	ClientID     string          `json:"client_id"`
	Kind         string          `json:"kind"`
	Body         json.RawMessage `json:"body"`
	ReplyTo      int             `json:"reply_to"`
	Mentions     []string        `json:"mentions"`
	// System is for services: "as" names an account of theirs, to which nobody
	// answers.
	System bool `json:"system"`
}

var messageForm = newForm[messageRequest]()

func (r messageRequest) check(who im.Actor, fs *faults) {
	if r.ReplyTo < 0 {
		fs.add("reply_to", "must be the number of a message")
	}
	if who.User == "" {
		fs.add("as", "a service says in whose name it speaks, in the query")
	}
	if r.System && (!who.Service || r.To == "") {
		fs.add("system", "is for services with a key, to one user")
	}
}

// sendMessage serves POST /v1/im/messages. It answers once the message is
// durable and has its number; the same client id again answers the same.
func (s *Server) sendMessage(c echo.Context, who im.Actor, req messageRequest) (any, error) {
	say := s.parts.Chat.Talk.Send
	if req.System {
		say = s.parts.Chat.Talk.Notify
	}
	said, err := say(c.Request().Context(), who, im.ChatMessage{
		Conversation: req.Conversation, Sender: who.User, ClientID: req.ClientID, Kind: req.Kind, Body: req.Body,
		ReplyTo: uint64(req.ReplyTo), Mentions: req.Mentions,
	}, req.To)
	if err != nil || said.Repeated {
		return said.ChatMessage, err
	}
	return made{said.ChatMessage}, nil
}

type bodyRequest struct {
	Body json.RawMessage `json:"body"`
}

var bodyForm = newForm[bodyRequest]()

// editMessage serves PATCH on a message.
func (s *Server) editMessage(c echo.Context, who im.Actor, req bodyRequest) (any, error) {
	seq, err := seqOf(c)
	if err != nil {
		return nil, err
	}
	said, err := s.parts.Chat.Talk.Edit(c.Request().Context(), who, c.Param("conversation"), seq, req.Body)
	return said.ChatMessage, err
}

// recallMessage serves DELETE on a message.
func (s *Server) recallMessage(c echo.Context, who im.Actor) (any, error) {
	seq, err := seqOf(c)
	if err != nil {
		return nil, err
	}
	said, err := s.parts.Chat.Talk.Recall(c.Request().Context(), who, c.Param("conversation"), seq)
	return said.ChatMessage, err
}

type messagesResponse struct {
	Messages []im.ChatMessage `json:"messages"`
}

// listMessages serves GET on a conversation's messages.
func (s *Server) listMessages(c echo.Context, who im.Actor) (any, error) {
	p, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	found, err := s.parts.Chat.Talk.History(c.Request().Context(), who, c.Param("conversation"), p.after, p.before, p.limit)
	return messagesResponse{orEmpty(found)}, err
}

type changesResponse struct {
	Changes []im.Change `json:"changes"`
	Next    uint64      `json:"next"`
	More    bool        `json:"more"`
	Unread  uint64      `json:"unread"`
}

// listChanges serves GET /v1/im/changes: the conversations that have moved
// since a cursor.
func (s *Server) listChanges(c echo.Context, who im.Actor) (any, error) {
	p, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	changes, next, more, err := s.parts.Chat.Talk.Changes(ctx, who, p.after, p.limit)
	if err != nil {
		return nil, err
	}
	unread, err := s.parts.Chat.Talk.Unread(ctx, who)
	return changesResponse{orEmpty(changes), next, more, unread}, err
}

type cursorRequest struct {
	Received int `json:"received"`
	Read     int `json:"read"`
}

var cursorForm = newForm[cursorRequest]()

func (r cursorRequest) check(_ im.Actor, fs *faults) {
	if r.Received < 0 {
		fs.add("received", "must be the number of a message")
	}
	if r.Read < 0 {
		fs.add("read", "must be the number of a message")
	}
}

// moveCursor serves POST on a conversation's cursor.
func (s *Server) moveCursor(c echo.Context, who im.Actor, req cursorRequest) (any, error) {
	return nil, s.parts.Chat.Talk.Mark(c.Request().Context(), who, c.Param("conversation"), uint64(req.Received), uint64(req.Read))
}

// tellTyping serves POST on typing.
func (s *Server) tellTyping(c echo.Context, who im.Actor) (any, error) {
	return nil, s.parts.Chat.Talk.Typing(c.Request().Context(), who, c.Param("conversation"))
}
