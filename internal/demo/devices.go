package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/herald-push/herald/client"
)

const (
	fleetSize = 120
	liveSize  = 24 // of these, on MQTT
)

// device is one installation and the person who holds it.
type device struct {
	client.Device

	live bool // keeps a connection to Herald
	// arrives is the share of what its vendor accepted that the device shows.
	arrives float64

	mu    sync.Mutex
	token client.Token // as the app keeps it
	seen  [32]string   // the newest deliveries, in a ring
	next  int
}

// model is a kind of device, and how well things arrive there.
type model struct {
	platform, maker, name, os, provider string
	arrives                             float64
	weight                              int
}

// models of the fleet. Battery savers of some makers keep messages of Google's
// service from apps that are not open; that is what the selector learns.
func models() []model {
	return []model{
		{"ios", "Apple", "iPhone 16", "18.5", "apns", 0.98, 6},
		{"ios", "Apple", "iPad Air", "18.4", "apns", 0.95, 1},
		{"android", "Google", "Pixel 9", "15", "fcm", 0.97, 2},
		{"android", "Samsung", "Galaxy S25", "15", "fcm", 0.93, 4},
		{"android", "Xiaomi", "14T", "14", "fcm", 0.62, 3},
		{"android", "OPPO", "Find X8", "14", "fcm", 0.55, 2},
	}
}

// devices makes the fleet from a fixed seed: registering it again changes
// nothing.
func devices() []*device {
	rng := rand.New(rand.NewPCG(8, 8))
	kinds := models()
	var deck []model
	for _, m := range kinds {
		for range m.weight {
			deck = append(deck, m)
		}
	}
	places := []struct{ country, carrier, locale, zone, prefix string }{
		{"DE", "Telekom", "de-DE", "Europe/Berlin", "+4915"},
		{"US", "Verizon", "en-US", "America/New_York", "+1555"},
		{"BR", "Vivo", "pt-BR", "America/Sao_Paulo", "+5511"},
		{"IN", "Jio", "en-IN", "Asia/Kolkata", "+9198"},
		{"ID", "Telkomsel", "id-ID", "Asia/Jakarta", "+6281"},
	}
	fleet := make([]*device, fleetSize)
	for i := range fleet {
		id := fmt.Sprintf("demo-%03d", i+1)
		m, at := deck[rng.IntN(len(deck))], places[rng.IntN(len(places))]
		d := &device{arrives: m.arrives, live: i < liveSize, Device: client.Device{
			ID: id, User: fmt.Sprintf("person-%03d", i/2+1), Platform: m.platform, Maker: m.maker, Model: m.name, OS: m.os,
			AppVersion: fmt.Sprintf("4.%d.0", rng.IntN(4)), Country: at.country, Carrier: at.carrier,
			Locale: at.locale, Timezone: at.zone, Tags: []string{"demo"},
			Addresses: []client.Address{address(m.provider, id)},
		}}
		if rng.IntN(4) == 0 {
			d.Tags = append(d.Tags, "beta")
		}
		if d.live {
			d.Addresses = append(d.Addresses, client.Address{Provider: "live", Token: id})
		}
		if rng.IntN(3) == 0 {
			number := fmt.Sprintf("%s%07d", at.prefix, rng.IntN(10_000_000))
			d.Addresses = append(d.Addresses, client.Address{Provider: "sms", Token: number})
		}
		fleet[i] = d
	}
	return fleet
}

// phone is phone-1. It is left out of the fleet's traffic, so that whoever
// plays it hears only what they send.
func phone() *device {
	return &device{arrives: 1, Device: client.Device{
		ID: "phone-1", User: "you", Platform: "ios", Maker: "Apple", Model: "iPhone 16", OS: "18.5", AppVersion: "4.3.0",
		Country: "DE", Carrier: "Telekom", Locale: "en-DE", Timezone: "Europe/Berlin",
		Addresses: []client.Address{{Provider: "live", Token: "phone-1"}, address("apns", "phone-1")},
	}}
}

// address is what the provider calls the device: anything of the right form.
func address(provider, device string) client.Address {
	sum := sha256.Sum256([]byte(provider + "/" + device))
	token := hex.EncodeToString(sum[:])
	if provider == "fcm" {
		token = "demo:" + token
	}
	return client.Address{Provider: provider, Token: token}
}
