package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/im"
)

type importRequest struct {
	Conversation string          `json:"conversation"`
	Between      []string        `json:"between"` // the two users of a direct conversation, instead
	Messages     []importMessage `json:"messages"`
}

type importMessage struct {
	Sender   string          `json:"sender"`
	ClientID string          `json:"client_id"`
	Kind     string          `json:"kind"`
	Body     json.RawMessage `json:"body"`
	ReplyTo  int             `json:"reply_to"`
	Mentions []string        `json:"mentions"`
	At       string          `json:"at"`
}

var importForm = newForm[importRequest]()

// maxImport is how many messages come in one request.
const maxImport = 500

func (r importRequest) check(now time.Time, fs *faults) im.Import {
	i := im.Import{Conversation: r.Conversation, Between: r.Between}
	if (r.Conversation == "") == (len(r.Between) == 0) || len(r.Between) != 0 && len(r.Between) != 2 {
		fs.add("conversation", "or between, with two users, must be given")
	}
	if n := len(r.Messages); n == 0 || n > maxImport {
		fs.addf("messages", "must have 1 to %d items, not %d", maxImport, n)
	}
	var last time.Time
	for n, m := range r.Messages {
		field := fmt.Sprintf("messages[%d].", n)
		at := instant(fs, field+"at", m.At)
		switch {
		case m.At == "":
			fs.add(field+"at", "is missing: when it was said")
		case at.Before(last):
			fs.add(field+"at", "is earlier than that of the message before: the oldest comes first")
		case at.After(now):
			fs.add(field+"at", "has not come yet")
		}
		last = at
		if m.ReplyTo < 0 {
			fs.add(field+"reply_to", "must be the number of a message")
		}
		i.Messages = append(i.Messages, im.ChatMessage{
			Sender: m.Sender, ClientID: m.ClientID, Kind: m.Kind, Body: m.Body,
			ReplyTo: uint64(max(m.ReplyTo, 0)), Mentions: m.Mentions, At: at,
		})
	}
	return i
}

// importMessages serves POST /v1/im/import: what was said elsewhere, before.
func (s *Server) importMessages(c echo.Context, who caller) error {
	req, fs, err := read(c, maxBatch, importForm)
	if err != nil {
		return err
	}
	i := req.check(s.parts.Now(), &fs)
	if err := fs.err(); err != nil {
		return err
	}
	done, err := s.parts.Chat.Talk.Import(c.Request().Context(), im.Actor{App: who.app, Service: true}, i)
	if err != nil {
		return chatError(err)
	}
	return c.JSON(http.StatusOK, done)
}

// exportConversation serves GET on a conversation's export, as
// [Server.exportUser]: the conversation, its members, the messages that are kept.
func (s *Server) exportConversation(c echo.Context, who caller) error {
	return s.stream(c, func(tell func(string, any) error) error {
		return chatError(s.parts.Chat.Talk.Export(c.Request().Context(), im.Actor{App: who.app, Service: true}, c.Param("conversation"), tell))
	})
}
