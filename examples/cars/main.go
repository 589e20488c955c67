// Command cars shows Herald between apps and a car dealer: two versions of a
// contract, one answer made of two servers, of which one hangs, and a dealer that
// is rebuilt under it all. `make example-cars` plays it.
package main

import (
	"crypto/rand"
	"embed"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/examples/stage"
)

//go:embed services changed
var declarations embed.FS

func main() {
	stage.Main("Two apps, a dealer and his garage behind one contract", play)
}

func play(s *stage.Stage) {
	key := rand.Text()
	env := []string{"DEALER_KEY=" + key}

	s.Scene("The stage", "")
	dealer := s.Business("dealer", "dealer", env, "-shape", "1")
	garage := s.Business("garage", "dealer", env, "-shape", "1")
	s.Secret("dealer-key", key)
	s.Declare(declarations, "services", dealer, garage)
	old := s.Phone("old-phone", "ada", 1)
	recent := s.Phone("new-phone", "bob", 2)
	recent.Listen()

	s.Scene("Two versions, one dealer", "Below a call is what the dealer was asked for it, each request signed. Version 1 is answered by version 2.")
	pandas := stage.Want{Output: `[{"name":"Fiat Panda","euros":6400}]`}
	old.Call("cars.search", `{"brand":"Fiat"}`, pandas)
	pages(recent)

	s.Scene("Answers that are kept", "The new app asks what the old one has asked, in other words: the dealer is not bothered again.")
	recent.Call("cars.search", `{"make":"Fiat"}`, stage.Want{
		Cached: "hit", Unasked: true,
		Output: `{"cars":[{"id":"4714","make":"Fiat","model":"Panda","price":{"amount":6400,"currency":"EUR"}}]}`,
	})

	s.Scene("Two doors, one contract", "The new phone is connected: it may ask over that connection as well, without a token.")
	recent.OverMQTT().Call("cars.search", `{"make":"Fiat"}`, stage.Want{
		Cached: "hit", Unasked: true,
		Output: `{"cars":[{"id":"4714","make":"Fiat","model":"Panda","price":{"amount":6400,"currency":"EUR"}}]}`,
	})
	recent.OverMQTT().Call("cars.reserve", `{"car":"9"}`, stage.Want{Code: "no_such_car", Status: 404})

	s.Scene("Errors that apps can rely on", "The dealer says 410 SOLD; the contract says sold, in both versions.")
	sold := stage.Want{Code: "sold", Status: 409}
	recent.Call("cars.reserve", `{"car":"4713"}`, sold)
	old.Call("cars.reserve", `{"number":4713}`, sold)
	old.Call("cars.reserve", `{"number":4711}`, stage.Want{Output: `true`})
	recent.Call("cars.reserve", `{"car":"9"}`, stage.Want{Code: "no_such_car", Status: 404})
	recent.Call("cars.reserve", `{}`, stage.Want{Code: "invalid_input", Status: 422, Fault: "input", Unasked: true})

	s.Scene("Two servers, one answer; then one of them hangs", "The garage is asked beside the dealer. It may fail: the answer is given without its part, and others go on.")
	clio := `{"id":"4711","make":"Renault","model":"Clio","price":{"amount":9900,"currency":"EUR"},"history":`
	whole := stage.Want{Output: clio + `["2023-05 new tyres","2025-02 inspection"]}`}
	recent.Call("cars.car", `{"car":"4711"}`, whole)
	garage.Hang()
	finish := recent.Waiting("cars.car", `{"car":"4711"}`, stage.Want{Output: clio + `[]}`, Partial: "history backend_timeout"})
	old.Call("cars.reserve", `{"number":4712}`, stage.Want{Output: `true`})
	finish()
	garage.Resume()
	recent.Retry("cars.car", `{"car":"4711"}`, whole)

	s.Scene("The dealer is rebuilt", "Another address, other paths, named fields, cents, numbers for errors. The old app goes on asking all the while.")
	old.While("cars.reserve", `{"number":4712}`, stage.Want{Output: `true`}, func(settle func()) {
		rebuilt := s.Business("rebuilt", "dealer", env, "-shape", "2")
		s.Declare(declarations, "changed", rebuilt, garage)
		settle()
		dealer.Stop()
	})

	s.Scene("Nobody noticed", "The same calls, the same answers; below them, another dealer.")
	old.Call("cars.search", `{"brand":"Fiat"}`, pandas)
	pages(recent)
	recent.Call("cars.car", `{"car":"4711"}`, whole)
	old.Call("cars.reserve", `{"number":4713}`, sold)
	recent.Call("cars.reserve", `{"car":"9"}`, stage.Want{Code: "no_such_car", Status: 404})
}

// pages turns the pages of a search.
func pages(p *stage.Phone) {
	first := p.Call("cars.search", `{"make":"Renault"}`, stage.Want{More: true, Output: `{"cars":[
		{"id":"4711","make":"Renault","model":"Clio","price":{"amount":9900,"currency":"EUR"}},
		{"id":"4712","make":"Renault","model":"Zoe","price":{"amount":12500,"currency":"EUR"}}]}`},
		client.ServicePage{Limit: 2})
	p.Call("cars.search", `{"make":"Renault"}`, stage.Want{Output: `{"cars":[
		{"id":"4713","make":"Renault","model":"Espace","price":{"amount":18900,"currency":"EUR"}}]}`},
		client.ServicePage{Cursor: first.Page.Next, Limit: 2})
}
