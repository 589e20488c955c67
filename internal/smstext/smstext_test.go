package smstext

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestTextsAreCutIntoSegments(t *testing.T) {
	tests := map[string]struct {
		text string
		want int
	}{
		"one letter":                                  {"x", 1},
		"a full segment":                              {strings.Repeat("x", 160), 1},
		"one more than a segment":                     {strings.Repeat("x", 161), 2},
		"two joined segments":                         {strings.Repeat("x", 306), 2},
		"one more than two joined":                    {strings.Repeat("x", 307), 3},
		"the euro takes two septets":                  {strings.Repeat("€", 80), 1},
		"one euro more":                               {strings.Repeat("€", 81), 2},
		"an extended character is not split":          {strings.Repeat("x", 152) + "€" + strings.Repeat("x", 152), 3},
		"greek capitals and umlauts are in the table": {strings.Repeat("ΩÄ", 80), 1},
		"a letter outside the table makes it UCS-2":   {strings.Repeat("x", 69) + "ł", 1},
		"one more in UCS-2":                           {strings.Repeat("x", 70) + "ł", 2},
		"emoji take two units":                        {strings.Repeat("🙂", 35), 1},
		"one emoji more":                              {strings.Repeat("🙂", 36), 2},
		"emoji are not split":                         {strings.Repeat("🙂", 67), 3}, // 33 in each
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Measure(tt.text).Segments; got != tt.want {
				t.Errorf("Measure() = %d segments, want %d", got, tt.want)
			}
			_, parts := Split(tt.text, 6)
			if len(parts) != tt.want || strings.Join(parts, "") != tt.text {
				t.Errorf("Split() = %q, want %d parts of the text", parts, tt.want)
			}
		})
	}
}

func TestTheAlphabetIsTheStandards(t *testing.T) {
	// Places of 3GPP TS 23.038, read off its tables.
	tests := map[string][]byte{
		"@£$¥": {0, 1, 2, 3}, "Δ_Φ": {0x10, 0x11, 0x12}, "ΘΞ": {0x19, 0x1a}, "ÆæßÉ": {0x1c, 0x1d, 0x1e, 0x1f},
		" ¤Az09?": {0x20, 0x24, 0x41, 0x7a, 0x30, 0x39, 0x3f}, "¡§¿à": {0x40, 0x5f, 0x60, 0x7f}, "ÄÖÑÜ": {0x5b, 0x5c, 0x5d, 0x5e},
		"€[]{}": {0x1b, 0x65, 0x1b, 0x3c, 0x1b, 0x3e, 0x1b, 0x28, 0x1b, 0x29}, `\^~|`: {0x1b, 0x2f, 0x1b, 0x14, 0x1b, 0x3d, 0x1b, 0x40},
	}
	for text, want := range tests {
		if got := Encode(text, GSM7); !bytes.Equal(got, want) || CodingOf(text) != GSM7 {
			t.Errorf("Encode(%q) = % x, want % x", text, got, want)
		}
	}
	if got := Encode("ł🙂", UCS2); !bytes.Equal(got, []byte{0x01, 0x42, 0xd8, 0x3d, 0xde, 0x42}) {
		t.Errorf("Encode() in UCS-2 = % x", got)
	}
}

func FuzzNothingIsLostOrTooLong(f *testing.F) {
	f.Add("Your code is 123456")
	f.Add(strings.Repeat("🙂€", 90))
	f.Add(strings.Repeat("[x", 160))
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		c, parts := Split(text, 6)
		if strings.Join(parts, "") != text || Measure(text).Segments != len(parts) {
			t.Fatalf("%q was cut into %q", text, parts)
		}
		for _, part := range parts {
			octets := Encode(part, c)
			switch {
			case c == GSM7 && len(octets) > 160, c == GSM7 && len(parts) > 1 && len(octets) > 153:
				t.Fatalf("%d septets in %q", len(octets), part)
			case c == UCS2 && len(octets) > 140, c == UCS2 && len(parts) > 1 && len(octets) > 134:
				t.Fatalf("%d octets in %q", len(octets), part)
			case c == UCS2 && decode(octets) != part:
				t.Fatalf("%q became %q", part, decode(octets))
			}
		}
	})
}

func decode(octets []byte) string {
	var units []uint16
	for ; len(octets) > 1; octets = octets[2:] {
		units = append(units, binary.BigEndian.Uint16(octets))
	}
	return string(utf16.Decode(units))
}

func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		coding Coding
	}{
		"the whole alphabet": {gsmBasic + gsmExtended, GSM7},
		"nothing":            {"", GSM7},
		"UTF-16":             {"Привет, 世界 🙂", UCS2},
	} {
		if got := Decode(Encode(tt.text, tt.coding), tt.coding); got != tt.text {
			t.Errorf("%s: %q, want %q", name, got, tt.text)
		}
	}
	for name, tt := range map[string]struct {
		octets string
		coding Coding
		want   string
	}{
		"Latin-1":               {"\xfcber", 3, "über"},
		"an escape at the end":  {"a\x1b", GSM7, "a\ufffd"},
		"an unknown extension":  {"\x1b\x01b", GSM7, "\ufffdb"},
		"an octet of eight":     {"\x80c", GSM7, "\ufffdc"},
		"half a unit of UTF-16": {"\x00d\x00", UCS2, "d"},
	} {
		if got := Decode([]byte(tt.octets), tt.coding); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
