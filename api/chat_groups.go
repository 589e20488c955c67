package api

import (
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

func (groupRequest) check(who im.Actor, fs *faults) {
	if who.User == "" {
		fs.add("as", "a service says whose group it is, in the query")
	}
}

// createGroup serves POST /v1/im/groups. The user owns it.
func (s *Server) createGroup(c echo.Context, who im.Actor, req groupRequest) (any, error) {
	group, err := s.parts.Chat.Groups.CreateGroup(c.Request().Context(), who, im.Conversation{
		ID: req.ID, Title: req.Title, Announcement: req.Announcement, Join: im.Join(req.Join),
	}, req.Members)
	return made{group}, err
}

type conversationResponse struct {
	*im.Conversation
	Me *im.Member `json:"me,omitempty"`
}

// getConversation serves GET on a conversation.
func (s *Server) getConversation(c echo.Context, who im.Actor) (any, error) {
	found, me, err := s.parts.Chat.Groups.Conversation(c.Request().Context(), who, c.Param("conversation"))
	return conversationResponse{found, me}, err
}

type groupChange struct {
	Title        *string `json:"title"`
	Announcement *string `json:"announcement"`
	Join         *string `json:"join"`
	Muted        *bool   `json:"muted"`
}

var groupChangeForm = newForm[groupChange]()

// changeGroup serves PATCH on a conversation: what is named changes.
func (s *Server) changeGroup(c echo.Context, who im.Actor, req groupChange) (any, error) {
	return s.parts.Chat.Groups.SetGroup(c.Request().Context(), who, c.Param("conversation"), func(g *im.Conversation) {
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
}

type silenceRequest struct {
	Silent bool `json:"silent"`
}

var silenceForm = newForm[silenceRequest]()

// silence serves PUT on a conversation's silence.
func (s *Server) silence(c echo.Context, who im.Actor, req silenceRequest) (any, error) {
	return nil, s.parts.Chat.Groups.Silence(c.Request().Context(), who, c.Param("conversation"), req.Silent)
}

type joinResponse struct {
	// Waits says that those who run the group decide.
	Waits bool `json:"waits"`
}

// joinGroup serves POST on a group's join.
func (s *Server) joinGroup(c echo.Context, who im.Actor) (any, error) {
	waits, err := s.parts.Chat.Groups.Join(c.Request().Context(), who, c.Param("conversation"))
	return joinResponse{waits}, err
}

type membersResponse struct {
	Members []im.Member `json:"members"`
}

// listMembers serves GET on a conversation's members.
func (s *Server) listMembers(c echo.Context, who im.Actor) (any, error) {
	p, err := namesOf(c)
	if err != nil {
		return nil, err
	}
	found, err := s.parts.Chat.Groups.Members(c.Request().Context(), who, c.Param("conversation"), p.name, p.limit)
	return membersResponse{orEmpty(found)}, err
}

type usersRequest struct {
	Users []string `json:"users"`
}

var usersForm = newForm[usersRequest]()

// addMembers serves POST on a group's members.
func (s *Server) addMembers(c echo.Context, who im.Actor, req usersRequest) (any, error) {
	return s.parts.Chat.Groups.Add(c.Request().Context(), who, c.Param("conversation"), req.Users)
}

type memberChange struct {
	Role       *string `json:"role"`
	MutedUntil *string `json:"muted_until"` // "" lets them speak again
}

var memberChangeForm = newForm[memberChange]()

func (r memberChange) check(_ im.Actor, fs *faults) {
	if r.Role == nil && r.MutedUntil == nil {
		fs.add("role", "or muted_until must be given")
	}
	if _, err := r.until(); err != nil {
		fs.add("muted_until", "must be a time such as 2026-03-01T12:00:00Z, or empty")
	}
}

func (r memberChange) until() (time.Time, error) {
	if r.MutedUntil == nil || *r.MutedUntil == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, *r.MutedUntil)
}

// changeMember serves PATCH on a member: what is named changes.
func (s *Server) changeMember(c echo.Context, who im.Actor, req memberChange) (any, error) {
	ctx, id, user := c.Request().Context(), c.Param("conversation"), c.Param("user")
	if req.Role != nil {
		if err := s.parts.Chat.Groups.SetRole(ctx, who, id, user, im.Role(*req.Role)); err != nil {
			return nil, err
		}
	}
	if req.MutedUntil == nil {
		return nil, nil
	}
	until, err := req.until()
	if err != nil {
		return nil, err // it was checked
	}
	return nil, s.parts.Chat.Groups.Mute(ctx, who, id, user, until)
}

// removeMember serves DELETE on a member; who removes oneself leaves.
func (s *Server) removeMember(c echo.Context, who im.Actor) (any, error) {
	return nil, s.parts.Chat.Groups.Remove(c.Request().Context(), who, c.Param("conversation"), c.Param("user"))
}
