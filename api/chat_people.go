package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/im"
)

type friendsResponse struct {
	Friends []im.Friend `json:"friends"`
}

// listFriends serves GET /v1/im/friends.
func (s *Server) listFriends(c echo.Context, who im.Actor) (any, error) {
	p, err := namesOf(c)
	if err != nil {
		return nil, err
	}
	found, err := s.parts.Chat.People.Friends(c.Request().Context(), who, p.name, p.limit)
	return friendsResponse{orEmpty(found)}, err
}

type askRequest struct {
	Text string `json:"text"`
}

var askForm = newForm[askRequest]()

type askResponse struct {
	State im.FriendState `json:"state"`
}

// askFriend serves PUT on a friend.
func (s *Server) askFriend(c echo.Context, who im.Actor, req askRequest) (any, error) {
	state, err := s.parts.Chat.People.Ask(c.Request().Context(), who, c.Param("user"), req.Text)
	return askResponse{state}, err
}

type friendChange struct {
	Accept *bool   `json:"accept"`
	Remark *string `json:"remark"`
}

var friendChangeForm = newForm[friendChange]()

func (r friendChange) check(_ im.Actor, fs *faults) {
	if r.Accept == nil && r.Remark == nil {
		fs.add("accept", "or remark must be given")
	}
}

// changeFriend serves PATCH on a friend: it answers a request, or keeps the
// user's own name for the friend.
func (s *Server) changeFriend(c echo.Context, who im.Actor, req friendChange) (any, error) {
	ctx, user := c.Request().Context(), c.Param("user")
	if req.Accept != nil {
		if err := s.parts.Chat.People.Answer(ctx, who, user, *req.Accept); err != nil {
			return nil, err
		}
	}
	if req.Remark == nil {
		return nil, nil
	}
	return nil, s.parts.Chat.People.Remark(ctx, who, user, *req.Remark)
}

// deleteFriend serves DELETE on a friend.
func (s *Server) deleteFriend(c echo.Context, who im.Actor) (any, error) {
	return nil, s.parts.Chat.People.Unfriend(c.Request().Context(), who, c.Param("user"))
}

type blocksResponse struct {
	Users []string `json:"users"`
}

// listBlocks serves GET /v1/im/blocks.
func (s *Server) listBlocks(c echo.Context, who im.Actor) (any, error) {
	p, err := namesOf(c)
	if err != nil {
		return nil, err
	}
	found, err := s.parts.Chat.People.Blocked(c.Request().Context(), who, p.name, p.limit)
	return blocksResponse{orEmpty(found)}, err
}

// block serves PUT and DELETE on a block.
func (s *Server) block(on bool) asks {
	return func(c echo.Context, who im.Actor) (any, error) {
		return nil, s.parts.Chat.People.Block(c.Request().Context(), who, c.Param("user"), on)
	}
}

type onlineResponse struct {
	Online []string `json:"online"`
}

// maxOnline is how many users may be asked for at once.
const maxOnline = 1000

func checkOnline(req usersRequest, _ im.Actor, fs *faults) {
	if n := len(req.Users); n == 0 || n > maxOnline {
		fs.addf("users", "must have 1 to %d items, not %d", maxOnline, n)
	}
}

// online serves POST /v1/im/online: which of many users have a connected
// device.
func (s *Server) online(c echo.Context, who im.Actor, req usersRequest) (any, error) {
	on, err := s.parts.Chat.People.Online(c.Request().Context(), who, req.Users)
	if err != nil {
		return nil, err
	}
	res := onlineResponse{Online: []string{}}
	for i, user := range req.Users {
		if on[i] {
			res.Online = append(res.Online, user)
		}
	}
	return res, nil
}

type eraseResponse struct {
	Messages int64 `json:"messages"` // whose bodies are gone
}

// eraseUser serves DELETE /v1/im/users/{user}.
func (s *Server) eraseUser(c echo.Context, who caller) error {
	n, err := s.parts.Chat.People.EraseUser(c.Request().Context(), im.Actor{App: who.app, Service: true}, c.Param("user"))
	if err != nil {
		return chatError(err)
	}
	return c.JSON(http.StatusOK, eraseResponse{n})
}
