package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/im"
)

type groupRequest struct {
	ID           string   `json:"id"`
	Title        string   `json:"title"`
	Announcement string   `json:"announcement"`
	Join         string   `json:"join"`
	Members      []string `json:"members"`
}

var groupForm = newForm[groupRequest]()

// createGroup serves POST /v1/im/groups. The user owns it.
func (s *Server) createGroup(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, groupForm)
	if err != nil {
		return err
	}
	if who.User == "" {
		fs.add("as", "a service says whose group it is, in the query")
	}
	if err := fs.err(); err != nil {
		return err
	}
	group, err := s.parts.Chat.Groups.CreateGroup(c.Request().Context(), who, im.Conversation{
		ID: req.ID, Title: req.Title, Announcement: req.Announcement, Join: im.Join(req.Join),
	}, req.Members)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, group)
}

type conversationResponse struct {
	*im.Conversation
	Me *im.Member `json:"me,omitempty"`
}

// getConversation serves GET on a conversation.
func (s *Server) getConversation(c echo.Context, who im.Actor) error {
	found, me, err := s.parts.Chat.Groups.Conversation(c.Request().Context(), who, c.Param("conversation"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, conversationResponse{found, me})
}

type groupChange struct {
	Title        *string `json:"title"`
	Announcement *string `json:"announcement"`
	Join         *string `json:"join"`
	Muted        *bool   `json:"muted"`
}

var groupChangeForm = newForm[groupChange]()

// changeGroup serves PATCH on a conversation: what is named changes.
func (s *Server) changeGroup(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, groupChangeForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	group, err := s.parts.Chat.Groups.SetGroup(c.Request().Context(), who, c.Param("conversation"), func(g *im.Conversation) {
		if req.Title != nil {
			g.Title = *req.Title
		}
		if req.Announcement != nil {
			g.Announcement = *req.Announcement
		}
		if req.Join != nil {
			g.Join = im.Join(*req.Join)
		}
		if req.Muted != nil {
			g.Muted = *req.Muted
		}
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, group)
}

type silenceRequest struct {
	Silent bool `json:"silent"`
}

var silenceForm = newForm[silenceRequest]()

// silence serves PUT on a conversation's silence.
func (s *Server) silence(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, silenceForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	if err := s.parts.Chat.Groups.Silence(c.Request().Context(), who, c.Param("conversation"), req.Silent); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type joinResponse struct {
	// Waits says that those who run the group decide.
	Waits bool `json:"waits"`
}

// joinGroup serves POST on a group's join.
func (s *Server) joinGroup(c echo.Context, who im.Actor) error {
	waits, err := s.parts.Chat.Groups.Join(c.Request().Context(), who, c.Param("conversation"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, joinResponse{waits})
}

type membersResponse struct {
	Members []im.Member `json:"members"`
}

// listMembers serves GET on a conversation's members.
func (s *Server) listMembers(c echo.Context, who im.Actor) error {
	p, err := namesOf(c)
	if err != nil {
		return err
	}
	found, err := s.parts.Chat.Groups.Members(c.Request().Context(), who, c.Param("conversation"), p.name, p.limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, membersResponse{orEmpty(found)})
}

type usersRequest struct {
	Users []string `json:"users"`
}

var usersForm = newForm[usersRequest]()

// addMembers serves POST on a group's members.
func (s *Server) addMembers(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, usersForm)
	if err != nil {
		return err
	}
	if err := fs.err(); err != nil {
		return err
	}
	group, err := s.parts.Chat.Groups.Add(c.Request().Context(), who, c.Param("conversation"), req.Users)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, group)
}

type memberChange struct {
	Role       *string `json:"role"`
	MutedUntil *string `json:"muted_until"` // "" lets them speak again
}

var memberChangeForm = newForm[memberChange]()

// changeMember serves PATCH on a member: what is named changes.
func (s *Server) changeMember(c echo.Context, who im.Actor) error {
	req, fs, err := read(c, maxSmall, memberChangeForm)
	if err != nil {
		return err
	}
	if req.Role == nil && req.MutedUntil == nil {
		fs.add("role", "or muted_until must be given")
	}
	var until time.Time
	if req.MutedUntil != nil && *req.MutedUntil != "" {
		if until, err = time.Parse(time.RFC3339, *req.MutedUntil); err != nil {
			fs.add("muted_until", "must be a time such as 2026-03-01T12:00:00Z, or empty")
		}
	}
	if err := fs.err(); err != nil {
		return err
	}
	ctx, id, user := c.Request().Context(), c.Param("conversation"), c.Param("user")
	if req.Role != nil {
		if err := s.parts.Chat.Groups.SetRole(ctx, who, id, user, im.Role(*req.Role)); err != nil {
			return err
		}
	}
	if req.MutedUntil != nil {
		if err := s.parts.Chat.Groups.Mute(ctx, who, id, user, until); err != nil {
			return err
		}
	}
	return c.NoContent(http.StatusNoContent)
}

// removeMember serves DELETE on a member; who removes oneself leaves.
func (s *Server) removeMember(c echo.Context, who im.Actor) error {
	if err := s.parts.Chat.Groups.Remove(c.Request().Context(), who, c.Param("conversation"), c.Param("user")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
