// Package smstext cuts a text into short messages and writes it in their
// alphabets: how many there are is what a text costs.
package smstext

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The default alphabet of GSM 03.38 (3GPP TS 23.038, section 6.2.1) in the
// order of its septets, without 0x1b between Ξ and Æ, and its extension table,
// each of whose characters takes two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended      = "\f^{}\\[~]|€"
	gsmExtendedCodes = "\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65"

	escape = 0x1b

	octets = 140 // of a short message
)

// Coding is how a text's characters are written.
type Coding byte

// The codings; their values are those of an SMS's data coding scheme.
const (
	GSM7 Coding = 0 // the default alphabet
	UCS2 Coding = 8 // UTF-16, big endian
)

// Size is what a text is on the air.
type Size struct {
	Units    int // UTF-16 code units, by which HTTP services count
	Segments int // short messages that are paid for
}

// Measure counts a text's units and segments.
func Measure(text string) Size {
	var s Size
	for _, r := range text {
		s.Units += unitsOf(r)
	}
	split(text, CodingOf(text), usualHeader, func(string) { s.Segments++ })
	return s
}

// CodingOf is GSM7 if the whole text can be written in it, and else UCS2.
func CodingOf(text string) Coding {
	for _, r := range text {
		if !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtended, r) {
			return UCS2
		}
	}
	return GSM7
}

// usualHeader is how many octets the header takes that joins the segments of
// one text, with a reference of eight bits.
const usualHeader = 6

// Split cuts a text into segments. Of more than one, each loses the octets of
// the header that joins them: with six they are those that [Measure] counts.
func Split(text string, header int) (Coding, []string) {
	c := CodingOf(text)
	var parts []string
	split(text, c, header, func(part string) { parts = append(parts, part) })
	return c, parts
}

// split hands on the segments of a text, in septets of the GSM alphabet or in
// UTF-16. No character is split between two.
func split(text string, c Coding, header int, segment func(string)) {
	one, many, width := octets/2, (octets-header)/2, unitsOf
	if c == GSM7 {
		one, many, width = octets*8/7, (octets-header)*8/7, septetsOf
	}
	total := 0
	for _, r := range text {
		total += width(r)
	}
	if total <= one {
		segment(text)
		return
	}
	begin, used := 0, 0
	for i, r := range text {
		w := width(r)
		if used+w > many {
			segment(text[begin:i])
			begin, used = i, 0
		}
		used += w
	}
	segment(text[begin:])
}

// Encode writes a text of a coding: a septet an octet, or UTF-16 in network
// order. What the GSM alphabet lacks becomes a question mark; a text whose
// [CodingOf] is GSM7 has none of that.
func Encode(text string, c Coding) []byte {
	b := make([]byte, 0, 2*len(text))
	for _, r := range text {
		if c == GSM7 {
			b = appendSeptets(b, r)
			continue
		}
		for _, u := range utf16.AppendRune(make([]uint16, 0, 2), r) {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return b
}

// Decode reads what [Encode] writes, and Latin-1 where the coding is 3. Octets
// that mean nothing become the replacement character.
func Decode(b []byte, c Coding) string {
	var text strings.Builder
	switch c {
	case UCS2:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(units))
	case GSM7:
		basic := []rune(gsmBasic)
		for i := 0; i < len(b); i++ {
			septet := int(b[i])
			switch {
			case septet == escape && i+1 < len(b):
				i++
				text.WriteRune(extended(b[i]))
			case septet < escape:
				text.WriteRune(basic[septet])
			case septet > escape && septet <= len(basic):
				text.WriteRune(basic[septet-1])
			default:
				text.WriteRune(utf8.RuneError)
			}
		}
	default:
		for _, octet := range b {
			text.WriteRune(rune(octet))
		}
	}
	return text.String()
}

// extended is the character of the extension table.
func extended(septet byte) rune {
	if i := strings.IndexByte(gsmExtendedCodes, septet); i >= 0 {
		return []rune(gsmExtended)[i]
	}
	return utf8.RuneError
}

func appendSeptets(b []byte, r rune) []byte {
	if i := runeIndex(gsmBasic, r); i >= 0 {
		if i >= escape {
			i++ // the escape has a place of its own in the table
		}
		return append(b, byte(i))
	}
	if i := runeIndex(gsmExtended, r); i >= 0 {
		return append(b, escape, gsmExtendedCodes[i])
	}
	return append(b, '?')
}

// runeIndex counts in characters, not in bytes.
func runeIndex(table string, r rune) int {
	n := 0
	for _, c := range table {
		if c == r {
			return n
		}
		n++
	}
	return -1
}

func septetsOf(r rune) int {
	if strings.ContainsRune(gsmExtended, r) {
		return 2
	}
	return 1
}

func unitsOf(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
