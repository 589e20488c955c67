package selector

import (
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// numbered are the providers that have a number of their own. It stands in
// every device's evidence, so the order must never change; new ones come at
// the end.
var numbered = [...]string{
	push.Live, "apns", "fcm", "huawei", "honor", "xiaomi", "oppo", "vivo", "webpush", "xmpp", "http", push.SMS, push.SMPP,
	"meizu",
}

// strangers is the first of the numbers that other providers share.
const strangers = 20

// providerNumber is the number of a provider, the same in every process. Two
// that nobody has numbered may share one, and then share what is learned.
func providerNumber(name string) int {
	if i := slices.Index(numbered[:], name); i >= 0 {
		return i
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return strangers + int(h.Sum32()%(brain.MostProviders-strangers))
}

// mostWords bounds a dictionary: words beyond it are taken for unknown, so that
// no caller can fill the memory by inventing makers.
const mostWords = 4096

// mostCells bounds the kinds of device; beyond it only maker and country part
// them.
const mostCells = 50_000

// dictionary gives words numbers. 0 is the unknown.
type dictionary struct {
	numbers map[string]uint16
	words   []string
}

func newDictionary() dictionary {
	return dictionary{numbers: map[string]uint16{"": 0}, words: []string{""}}
}

func (d *dictionary) number(word string) uint16 {
	if n, ok := d.numbers[word]; ok {
		return n
	}
	if len(d.words) >= mostWords {
		return 0
	}
	word = strings.Clone(word)
	n := uint16(len(d.words))
	d.numbers[word] = n
	d.words = append(d.words, word)
	return n
}

// names are the dictionaries of all features.
type names struct{ makers, countries, carriers, systems, apps dictionary }

func newNames() *names {
	return &names{newDictionary(), newDictionary(), newDictionary(), newDictionary(), newDictionary()}
}

// kind is what the beliefs see of a device.
type kind struct{ app, platform, maker, os, country, carrier string }

func kindOf(d *push.Device) kind {
	return kind{d.App, d.Platform, d.Maker, d.OS, d.Country, d.Carrier}
}

func kindOfReceipt(r *push.Receipt) kind {
	return kind{r.App, r.Platform, r.Maker, r.OS, r.Country, r.Carrier}
}

// features turns words into numbers. A maker counts apart on each platform
// only by the system, whose version counts up to the first dot.
func (n *names) features(k kind) brain.Features {
	major, _, _ := strings.Cut(k.os, ".")
	var buf [64]byte
	system := append(append(append(buf[:0], k.platform...), ' '), major...)
	return brain.Features{
		Maker:   n.makers.number(k.maker),
		Country: n.countries.number(k.country),
		Carrier: n.carriers.number(k.carrier),
		OS:      n.systems.number(string(system)),
		App:     n.apps.number(k.app),
	}
}

// cell finds a device's kind in the brain.
func (n *names) cell(b *brain.Brain, k kind) int32 {
	f := n.features(k)
	if b.Cells() >= mostCells {
		f = brain.Features{Maker: f.Maker, Country: f.Country}
	}
	return b.Cell(f)
}

// chance turns an attempt into a number in [0, 1): the same attempt is always
// drawn alike, so that a task that is done again takes the same road.
func chance(delivery string, attempts int) float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(delivery)) // never fails
	x := h.Sum64() + uint64(attempts)*0x9E3779B97F4A7C15
	x ^= x >> 33
	x *= 0xFF51AFD7ED558CCD
	x ^= x >> 33
	return float32(math.Min(float64(x>>40)/(1<<24), 0.9999999))
}
