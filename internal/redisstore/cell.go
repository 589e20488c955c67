package redisstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// ChunkSize is the most deliveries of one chunk.
const ChunkSize = 256

// Cell is the state of one delivery. Redis has it as text with commas:
// "a,2,1764000000000+5000,live+apns,,phone-1".
type Cell struct {
	Stage   push.Stage // the highest rung proven, or the way off it; "" is nothing yet
	Attempt int        // attempts with a recorded answer
	Since   int64      // when the road in use was first tried, unix ms; 0 before
	Wait    int64      // how long that road may stay without proof, in ms; 0 is the class's default
	Held    int64      // until when a rule held it, unix ms; 0 is never: its time counts from then
	Tried   string     // providers used, oldest first, joined by "+"; "-" behind one: it said no
	Hold    Hold       // why nobody else should go on with it now
	Device  string
}

// Hold says what a delivery waits for. Its zero value is nothing.
type Hold struct {
	Kind     HoldKind
	At       int64  // Claimed: since when; Retry: not before; unix ms
	Owner    string // Claimed: the task that has it in hand
	Provider string // Claimed and Retry: the road in question
}

// HoldKind is the first letter of a hold.
type HoldKind byte

// The kinds of hold.
const (
	Free    HoldKind = 0
	Claimed HoldKind = 'c' // a task has an attempt in flight
	Retry   HoldKind = 'r' // a later task tries the same road again
	Waiting HoldKind = 'w' // no road is left, but it lies in the inbox of a live device
)

// Start is when the delivery's time begins to count, given when its
// notification's did: what a rule has held it for is no delay.
func (c *Cell) Start(notification time.Time) time.Time {
	if held := time.UnixMilli(c.Held).UTC(); c.Held != 0 && held.After(notification) {
		return held
	}
	return notification
}

// Void reports whether every provider that was used has said, at once or later,
// that the message does not arrive by it: then nobody has it any more, whatever
// they said before. Proof of arrival is never void.
func (c *Cell) Void() bool {
	switch c.Stage {
	case push.Accepted, push.HandedOver, push.Unknown:
		return c.Tried != "" && strings.Count(c.Tried, "-") == strings.Count(c.Tried, "+")+1
	default:
		return false
	}
}

// Denied reports whether a provider that was used has said that the message does
// not arrive by it.
func (c *Cell) Denied(provider string) bool {
	for p := range strings.SplitSeq(c.Tried, "+") {
		if p == provider+"-" {
			return true
		}
	}
	return false
}

// Deny notes a provider's no. One that was not used is left out.
func (c *Cell) Deny(provider string) { c.mark(provider, provider+"-") }

// Reopen forgets a provider's no: it is to be tried again.
func (c *Cell) Reopen(provider string) { c.mark(provider+"-", provider) }

func (c *Cell) mark(was, is string) {
	if !strings.Contains(c.Tried, was) {
		return
	}
	roads := strings.Split(c.Tried, "+")
	if i := slices.Index(roads, was); i >= 0 {
		roads[i] = is
		c.Tried = strings.Join(roads, "+")
	}
}

// HasTried reports whether a provider was used before.
func (c *Cell) HasTried(provider string) bool { return c.AttemptOf(provider) > 0 }

// AttemptOf is the number of a provider's attempt, 0 if it had none. Where a
// road was tried more than once it is the lowest the attempt can have had.
func (c *Cell) AttemptOf(provider string) int {
	n := 1
	for rest := c.Tried; rest != ""; n++ {
		var p string
		p, rest, _ = strings.Cut(rest, "+")
		if strings.TrimSuffix(p, "-") == provider {
			return n
		}
	}
	return 0
}

// Try notes that a provider is used from now (unix ms) on. Trying the same road
// again changes nothing.
func (c *Cell) Try(provider string, now int64) {
	switch {
	case c.LastTried() == provider:
		return
	case c.Tried == "":
		c.Tried = provider
	default:
		c.Tried += "+" + provider
	}
	c.Since, c.Wait = now, 0
}

// LastTried is the provider used last, "" if none was.
func (c *Cell) LastTried() string {
	return strings.TrimSuffix(c.Tried[strings.LastIndexByte(c.Tried, '+')+1:], "-")
}

func (h Hold) String() string {
	switch h.Kind {
	case Claimed, Retry:
		return string(h.Kind) + strconv.FormatInt(h.At, 10) + ":" + h.Owner + ":" + h.Provider
	case Waiting:
		return "w"
	default:
		return ""
	}
}

func parseHold(s string) Hold {
	if s == "" {
		return Hold{}
	}
	h := Hold{Kind: HoldKind(s[0])}
	at, rest, _ := strings.Cut(s[1:], ":")
	h.At, _ = strconv.ParseInt(at, 10, 64) // "w" has no time
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		h.Owner, h.Provider = rest[:i], rest[i+1:]
	}
	return h
}

func (c *Cell) String() string {
	b := make([]byte, 0, 64+len(c.Device))
	b = append(b, letter(c.Stage), ',')
	b = strconv.AppendInt(b, int64(c.Attempt), 10)
	b = append(b, ',')
	b = appendSince(b, c)
	b = append(b, ',')
	b = append(b, c.Tried...)
	b = append(b, ',')
	b = append(b, c.Hold.String()...)
	b = append(b, ',')
	b = append(b, c.Device...)
	return string(b)
}

// appendSince writes Since and, if there are any, Wait and Held.
func appendSince(b []byte, c *Cell) []byte {
	b = strconv.AppendInt(b, c.Since, 10)
	if c.Wait != 0 {
		b = append(b, '+')
		b = strconv.AppendInt(b, c.Wait, 10)
	}
	if c.Held != 0 {
		b = append(b, '@')
		b = strconv.AppendInt(b, c.Held, 10)
	}
	return b
}

// parseCell undoes [Cell.String]. Only the device may have commas in it.
func parseCell(s string) (Cell, error) {
	var c Cell
	stage, rest, _ := strings.Cut(s, ",")
	attempt, rest, _ := strings.Cut(rest, ",")
	since, rest, _ := strings.Cut(rest, ",")
	tried, rest, _ := strings.Cut(rest, ",")
	hold, device, ok := strings.Cut(rest, ",")
	if !ok || len(stage) != 1 {
		return c, fmt.Errorf("redisstore: %q is not a cell", s)
	}
	var err1, err2, err3, err4 error
	c.Attempt, err1 = strconv.Atoi(attempt)
	since, till, held := strings.Cut(since, "@")
	since, wait, waits := strings.Cut(since, "+")
	c.Since, err2 = strconv.ParseInt(since, 10, 64)
	if waits {
		c.Wait, err3 = strconv.ParseInt(wait, 10, 64)
	}
	if held {
		c.Held, err4 = strconv.ParseInt(till, 10, 64)
	}
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return c, fmt.Errorf("redisstore: %q is not a cell", s)
	}
	c.Stage, c.Tried, c.Hold, c.Device = stageOf(stage[0]), tried, parseHold(hold), device
	return c, nil
}

// letters names each stage in a cell; cell.lua ranks them.
var letters = [...]struct {
	letter byte
	stage  push.Stage
}{
	{'-', ""},
	{'a', push.Accepted},
	{'h', push.HandedOver},
	{'d', push.Delivered},
	{'p', push.Displayed},
	{'k', push.Clicked},
	{'u', push.Unknown},
	{'f', push.Failed},
	{'e', push.Expired},
	{'x', push.Cancelled},
	{'s', push.Suppressed},
}

func letter(s push.Stage) byte {
	for _, l := range letters {
		if l.stage == s {
			return l.letter
		}
	}
	return '-'
}

func stageOf(letter byte) push.Stage {
	for _, l := range letters {
		if l.letter == letter {
			return l.stage
		}
	}
	return ""
}
