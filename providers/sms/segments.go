package sms

import "strings"

// The default alphabet of GSM 03.38 (3GPP TS 23.038, section 6.2.1), and its
// extension table, each of whose characters takes two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// size is what a text is on the air.
type size struct {
	units    int // UTF-16 code units, by which the service's limit counts
	segments int // short messages that are paid for
}

// measure counts a text's segments: in septets of the GSM alphabet if it can be
// written in that, and else in UCS-2. A longer text loses seven septets, or
// three units, of each segment to the header that joins them, and no character
// is split between two.
func measure(text string) size {
	var s size
	gsm := true
	for _, r := range text {
		s.units += unitsOf(r)
		gsm = gsm && (strings.ContainsRune(gsmBasic, r) || strings.ContainsRune(gsmExtended, r))
	}
	if gsm {
		s.segments = split(text, 160, 153, septetsOf)
	} else {
		s.segments = split(text, 70, 67, unitsOf)
	}
	return s
}

// split counts segments of whole characters: one that holds at most one, or as
// many as are needed that hold at most many each.
func split(text string, one, many int, width func(rune) int) int {
	total, segments, used := 0, 1, 0
	for _, r := range text {
		w := width(r)
		total += w
		if used+w > many {
			segments++
			used = 0
		}
		used += w
	}
	if total <= one {
		return 1
	}
	return segments
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
