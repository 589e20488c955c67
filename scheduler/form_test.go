package scheduler

import (
	"testing"

	"github.com/herald-push/herald/push"
)

func TestEachDeviceReadsItsOwnLanguage(t *testing.T) {
	h := newHouse(t)
	h.app.Policy.Locale = "fr-CH"
	want := map[string]string{"zh-Hant-TW": "繁", "de-AT": "Hallo", "en": "Hello", "ja": "Bonjour", "": "Bonjour"}
	n := note("n1", "")
	n.To.Device = ""
	for locale := range want {
		id := "phone-" + locale
		h.lives(id, "apns")
		h.devices[id].Locale = locale
		n.To.Devices = append(n.To.Devices, id)
	}
	n.Title, n.Template = "Hello", "greeting"
	n.Localized = map[string]push.Content{"en": {Title: "Hello"}, "de": {Title: "Hallo", Data: map[string]string{"k": "v"}}, "zh-hant": {Title: "繁"}, "fr": {Title: "Bonjour"}}
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.awaitDone(d, "n1")
	shared := make(map[*push.Notification]int)
	for _, s := range h.sends {
		locale := s.device[len("phone-"):]
		if s.n.Title != want[locale] || s.n.ID != "n1" {
			t.Errorf("%q reads %q, want %q", locale, s.n.Title, want[locale])
		}
		if (s.n.Data["k"] == "v") != (locale == "de-AT") {
			t.Errorf("%q gets the data %v", locale, s.n.Data)
		}
		shared[s.n]++
	}
	if len(shared) != 4 {
		t.Errorf("%d forms for 4 languages: a chunk's devices should share them", len(shared))
	}
}
