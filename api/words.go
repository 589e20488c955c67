package api

import (
	"regexp"
	"strings"
	"time"
)

// Limits of the words that callers choose.
const (
	maxNotificationID = 64
	maxDeviceID       = 128
	maxUser           = 128
	maxTag            = 64
	maxText           = 128 // of a device's description, such as its model
)

// e164 is a phone number as ITU-T E.164 has it, with the plus.
var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// spelled reports whether s is 1 to most bytes of letters, digits, "_", "-"
// and what extra allows.
func spelled(s string, most int, extra string) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return true
}

// validNotificationID leaves out the dot, which a delivery's id is made with.
func validNotificationID(s string) bool { return spelled(s, maxNotificationID, ":") }

// validDeviceID leaves out the slash, which MQTT user names are made with.
func validDeviceID(s string) bool { return spelled(s, maxDeviceID, ".:@+=~") }

// printable reports whether s is at most this long and has no control
// characters, which have no place in a header, a key or a label.
func printable(s string, most int) bool {
	return len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

const (
	needNotificationID = `must be 1 to 64 letters, digits, "_", "-" or ":"`
	needDeviceID       = `must be 1 to 128 letters, digits or "_-.:@+=~"`
	needTime           = "must be a time as in RFC 3339, such as 2026-03-01T08:00:00Z"
)

// instant reads a time; a zone is part of it.
func instant(fs *faults, field, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		fs.add(field, needTime)
	}
	return t.UTC()
}
