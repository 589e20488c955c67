package im

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Conversation is where messages are said. Its messages are numbered from 1
// without a gap, so whoever has some of them knows which are missing.
type Conversation struct {
	App  string `json:"-"`
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Title and Announcement are a group's.
	Title        string `json:"title,omitempty"`
	Announcement string `json:"announcement,omitempty"`
	Join         Join   `json:"join,omitempty"`
	// Muted lets nobody but owner and admins speak.
	Muted   bool   `json:"muted,omitempty"`
	Head    uint64 `json:"head"`    // number of the latest message; 0 before the first
	Members int    `json:"members"` // how many are in it now
	// Peer is the other user of a direct conversation, as a member sees it.
	Peer      string    `json:"peer,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Kind is what a conversation is.
type Kind string

// The kinds of conversation.
const (
	Direct Kind = "direct" // of two users; it is made by the first message
	Group  Kind = "group"
	System Kind = "system" // from a service to one user, who cannot answer
)

// Join says how a user comes into a group.
type Join string

// The ways into a group.
const (
	JoinOpen     Join = "open"     // whoever wants to
	JoinApproval Join = "approval" // whom an admin lets in
	JoinInvite   Join = "invite"   // whom a member brings
)

// Role is what a member may do.
type Role string

// The roles, by rising power.
const (
	Asking Role = "asking" // waits to be let in; sees and says nothing
	Plain  Role = "member"
	Admin  Role = "admin"
	Owner  Role = "owner"
)

// Runs reports whether the role may change the conversation and mute others.
func (r Role) Runs() bool { return r == Admin || r == Owner }

// Member is one user in one conversation, with what the user has of it.
type Member struct {
	User   string `json:"user"`
	Role   Role   `json:"role"`
	Joined uint64 `json:"joined"` // earlier messages are not the member's to see
	// Received and Read are the highest numbers that some device of the user
	// has taken, and that the user has seen: 0 ≤ read ≤ received ≤ head. They
	// never fall.
	Received uint64 `json:"received"`
	Read     uint64 `json:"read"`
	// MutedUntil forbids to speak until then.
	MutedUntil time.Time `json:"muted_until,omitzero"`
	// Silent is the user's own wish that the conversation does not ring.
	Silent bool `json:"silent,omitempty"`
}

// ChatMessage is one thing that was said. It is durable, and numbered, before
// anyone hears of it.
type ChatMessage struct {
	App          string `json:"-"`
	Conversation string `json:"conversation"`
	Seq          uint64 `json:"seq"`
	Sender       string `json:"sender"`
	// ClientID is the sender's own name for the message: the same one sent
	// again, whatever the reason, is said once.
	ClientID string          `json:"client_id"`
	Kind     string          `json:"kind"` // text image file voice location card custom; recall, edit and system are made by Herald
	Body     json.RawMessage `json:"body"` // a JSON object; its fields are the kind's
	ReplyTo  uint64          `json:"reply_to,omitempty"`
	Mentions []string        `json:"mentions,omitempty"` // users; "*" is everybody
	At       time.Time       `json:"at"`
	// Target is the message that a recall or an edit is about.
	Target   uint64    `json:"target,omitempty"`
	EditedAt time.Time `json:"edited_at,omitzero"`
	Recalled bool      `json:"recalled,omitempty"` // its body is gone
	// Reactions counts what members put to it, by emoji.
	Reactions map[string]int `json:"reactions,omitempty"`
}

// Kinds of message. The app's users may say the first group; recall and edit
// are what comes of taking back and changing, system is Herald's own.
const (
	KindText     = "text"     // {"text"}
	KindImage    = "image"    // {"url", "width", "height", "bytes", "thumbnail"}
	KindFile     = "file"     // {"url", "name", "bytes"}
	KindVoice    = "voice"    // {"url", "seconds"}
	KindLocation = "location" // {"lat", "lon", "name"}
	KindCard     = "card"     // {"title", "text", "url", "image"}
	KindCustom   = "custom"   // the app's own

	KindRecall = "recall"
	KindEdit   = "edit" // the body is the new one
	KindSystem = "system"
)

// MessageID names a chat message on a connection, "im:<conversation>:<seq>".
func (m *ChatMessage) MessageID() string { return fmt.Sprintf("im:%s:%d", m.Conversation, m.Seq) }

// Change is one conversation that has moved since a user last looked.
type Change struct {
	Conversation
	Me     Member `json:"me"`
	Unread uint64 `json:"unread"`
	// Gone says that the user is no member any more.
	Gone bool `json:"gone,omitempty"`
	// Last is the latest message that the user may see; nil if there is none.
	Last *ChatMessage `json:"last,omitempty"`
}

// Friend is another user as one knows them.
type Friend struct {
	User   string      `json:"user"`
	State  FriendState `json:"state"`
	Remark string      `json:"remark,omitempty"` // one's own name for them
	Text   string      `json:"text,omitempty"`   // what came with the request
	Since  time.Time   `json:"since"`            // of the state
}

// FriendState is how two users stand, from the view of one of them.
type FriendState string

// The states of a friendship.
const (
	Requested FriendState = "requested" // I asked
	Waiting   FriendState = "waiting"   // I was asked
	Friends   FriendState = "friends"
	Refusing  FriendState = "refused" // I asked, and was refused
)

// Ring is a message that no device of a user has taken in time.
type Ring struct {
	App, User, Conversation string
	Seq                     uint64 // the latest message
	Unread                  uint64 // in this conversation
	Badge                   uint64 // unread messages in all conversations that ring
}

// Refusal is why something may not be done. It is shown to whoever asked.
type Refusal struct {
	Code   string // for programs, such as "not_a_member"
	Field  string // of the request; empty if no field is at fault
	Detail string // for people
}

func (r *Refusal) Error() string { return "im: " + r.Code + ": " + r.Detail }

// Actor is who wants something: a user, or a business service, which may do all
// that a user may, in any user's name.
type Actor struct {
	App     string
	User    string
	Service bool
}

// Draft is a message that has not been said yet. At is empty, but for one that
// was said elsewhere and is brought here.
type Draft struct {
	ChatMessage
	// To names the other user of a direct conversation instead of Conversation,
	// which is made if need be.
	To string
	// Check decides on the facts, in the transaction that numbers the message:
	// nothing can change between the permission and the fact. Nil allows.
	Check func(*Facts) error
	// RingAfter is how long the members' devices have to take the message
	// before [Ring] speaks of it.
	RingAfter time.Duration
}

// Facts are what a [Draft] may be judged by.
type Facts struct {
	Conversation Conversation
	Sender       *Member // nil if the sender is none
	// Blocked and Friends tell how the other user of a direct conversation
	// stands to the sender.
	Blocked, Friends bool
	// Target is the message that a recall, an edit or a reply is about; nil if
	// there is none of that number.
	Target *ChatMessage
}

// Said is a message that is durable and numbered.
type Said struct {
	ChatMessage
	// Repeated says that it had been said before.
	Repeated bool
	// Hearers are the members of a conversation of at most [SmallGroup], the
	// sender too; nil for a larger one, whose members are asked for in pages.
	Hearers []string
	// Roster counts the changes of who is a member, up to this message.
	Roster uint64
}

// Import is what was said elsewhere, before, in a conversation or, if Between is
// given, between two users: the oldest first, each message with its At.
type Import struct {
	Conversation string
	Between      []string
	Messages     []ChatMessage
}

// Imported tells what came of an [Import].
type Imported struct {
	Conversation string `json:"conversation"`
	Imported     int    `json:"imported"`
	Repeated     int    `json:"repeated"` // were there already
	Head         uint64 `json:"head"`
}

// SmallGroup is up to how many members each is told of every message. Larger
// groups are looked at by those who open them.
const SmallGroup = 500

// DirectID names the conversation of two users, whichever begins.
func DirectID(a, b string) string {
	if b < a {
		a, b = b, a
	}
	sum := sha256.Sum256([]byte(a + "\x00" + b))
	return "d-" + base64.RawURLEncoding.EncodeToString(sum[:15])
}

// SystemID names the conversation in which a service account speaks to a user.
func SystemID(account, user string) string {
	sum := sha256.Sum256([]byte(account + "\x00" + user))
	return "s-" + base64.RawURLEncoding.EncodeToString(sum[:15])
}

// Cursor is how far a user has come in a conversation. A zero number changes
// nothing.
type Cursor struct {
	App, User, Conversation string
	Received, Read          uint64
}
