package web

import (
	"context"
	"fmt"
)

// Role is what somebody may do within an app. Each may all that those before
// it may.
type Role int

// The roles.
const (
	Nobody   Role = iota
	Viewer        // sees what was sent and what came of it
	Analyst       // asks questions of their own of the record
	Operator      // pauses, cancels, retries, switches lanes, drains nodes
	Admin         // changes the app: keys, credentials, templates, policies, members
)

var roleNames = [...]string{"", "viewer", "analyst", "operator", "admin"}

// RoleNamed is the role of a name; [Nobody] for one that is not known.
func RoleNamed(name string) Role {
	for r, n := range roleNames {
		if n == name {
			return Role(r)
		}
	}
	return Nobody
}

func (r Role) String() string { return roleNames[r] }

// AllApps is the key of [Roles] that stands for every app.
const AllApps = "*"

// Roles are somebody's roles by app.
type Roles map[string]Role

// In is the role within one app.
func (rs Roles) In(app string) Role { return max(rs[app], rs[AllApps]) }

// Most is the highest role in any app.
func (rs Roles) Most() Role {
	most := Nobody
	for _, r := range rs {
		most = max(most, r)
	}
	return most
}

// may tells whether the viewer has a role within an app.
func (s *session) may(app string, need Role) bool { return s.roles.In(app) >= need }

// need refuses a viewer without a role within an app.
func (s *session) need(app string, need Role) error {
	if s.may(app, need) {
		return nil
	}
	return &forbidden{need}
}

// forbidden says which role is missing.
type forbidden struct{ need Role }

func (f *forbidden) Error() string { return "web: needs the role " + f.need.String() }

// Is makes every missing role one kind of error.
func (f *forbidden) Is(target error) bool { return target == errForbidden }

// admit finds what the viewer may do now, which may be less than when they
// signed in. Without any role the session is over, and so it is if they left.
func (s *site) admit(ctx context.Context, sess *session) (bool, error) {
	if s.Visits != nil {
		gone, err := s.Visits.Gone(ctx, sess.ID)
		if err != nil {
			return false, fmt.Errorf("web: visits: %w", err)
		}
		if gone {
			return false, nil
		}
	}
	roles, err := s.Login.Roles(ctx, sess.Identity)
	if err != nil {
		return false, fmt.Errorf("web: roles: %w", err)
	}
	sess.roles = roles
	return roles.Most() > Nobody, nil
}
