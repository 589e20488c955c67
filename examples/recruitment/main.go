// Command recruitment shows Herald between apps and a recruitment agency: two
// versions of a contract, two doors to it, an agency that is rebuilt under it,
// errors that apps can rely on, another agency that hangs, and an event that
// becomes a notification. `make example-recruitment` plays it.
package main

import (
	"crypto/rand"
	"embed"
	"encoding/base64"

	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/examples/stage"
)

//go:embed services changed
var declarations embed.FS

func main() {
	stage.Main("Two apps, one contract, and an agency that changes behind it", play)
}

func play(s *stage.Stage) {
	key, hook := rand.Text(), "whsec_"+base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	env := []string{"AGENCY_KEY=" + key, "AGENCY_HOOK=" + hook}

	s.Scene("The stage", "")
	agency := s.Business("agency", "agency", env, "-shape", "1", "-herald", s.Herald())
	temps := s.Business("temps", "agency", env, "-shape", "1")
	s.Secret("agency-key", key)
	s.Secret("agency-hook", hook)
	s.Declare(declarations, "services", agency, temps)
	old := s.Phone("old-phone", "ada", 1)
	recent := s.Phone("new-phone", "bob", 2)
	inbox := old.Listen()

	s.Scene("Two versions, one agency", "Below a call is what the agency was asked for it. Version 1 is answered by version 2.")
	cooks := stage.Want{Output: `["Cook, Lyon", "Pastry cook, Nantes", "Cook's assistant, Lyon"]`}
	old.Call("jobs.search", `{"q":"cook"}`, cooks)
	recent.Call("jobs.search", `{"text":"nurse"}`, stage.Want{Output: `{"jobs":[{"id":"102","title":"Nurse","town":"Lille","pay":{"from":2300,"to":2900}}]}`})

	s.Scene("Two doors, one contract", "Ada's phone is connected anyway: the same call over that connection, without a token, has the same answer.")
	old.OverMQTT().Call("jobs.search", `{"q":"cook"}`, cooks)
	old.OverMQTT().Call("jobs.apply", `{"ref":104}`, stage.Want{Code: "job_closed", Status: 409})

	s.Scene("Pages, and answers that are kept", "Clients turn pages by a cursor, whatever the agency does. What was asked a moment ago costs it nothing.")
	pages(recent)
	recent.Call("jobs.popular", `{}`, stage.Want{Output: `["Cook","Nurse"]`})
	recent.Call("jobs.popular", `{}`, stage.Want{Output: `["Cook","Nurse"]`, Cached: "hit", Unasked: true})

	s.Scene("Errors that apps can rely on", "The agency says 409 CLOSED; the contract says job_closed. What is not in the contract does not reach the agency.")
	closed := stage.Want{Code: "job_closed", Status: 409}
	recent.Call("jobs.apply", `{"job":"104"}`, closed)
	recent.Call("jobs.apply", `{"job":"999"}`, stage.Want{Code: "no_such_job", Status: 404})
	recent.Call("jobs.search", `{"text":7}`, stage.Want{Code: "invalid_input", Status: 422, Fault: "input.text", Unasked: true})

	s.Scene("The agency reports something", "Ada applies with the old app. An employer reads it, the agency signs an event, her phone rings.")
	old.Call("jobs.apply", `{"ref":101}`, stage.Want{Output: `"101-ada"`})
	agency.Desk("/desk/read/101-ada")
	old.Hears(inbox, "Your application was read", "Cook")

	s.Scene("The other agency hangs", "Who asks it gets a typed error; others are answered meanwhile; then it is left alone until it is well.")
	titles := stage.Want{Output: `["Cook","Nurse","Pastry cook","Cook's assistant"]`}
	few := s.Phone("temp-phone", "eve", 1)
	few.Call("temps.titles", `{}`, titles)
	temps.Hang()
	finish := few.Waiting("temps.titles", `{}`, stage.Want{Code: "backend_timeout", Status: 504})
	old.Call("jobs.search", `{"q":"cook"}`, cooks)
	finish()
	few.Call("temps.titles", `{}`, stage.Want{Code: "backend_resting", Status: 503, Unasked: true})
	temps.Resume()
	few.Retry("temps.titles", `{}`, titles)

	s.Scene("The agency is rebuilt", "Another address, other paths, other fields, cursors for pages, 200 for errors. The old app goes on asking all the while.")
	old.While("jobs.search", `{"q":"cook"}`, cooks, func(settle func()) {
		rebuilt := s.Business("rebuilt", "agency", env, "-shape", "2", "-herald", s.Herald())
		s.Declare(declarations, "changed", rebuilt)
		settle()
		agency.Stop()
	})

	s.Scene("Nobody noticed", "The same calls, the same answers; below them, another agency.")
	old.Call("jobs.search", `{"q":"cook"}`, cooks)
	old.OverMQTT().Call("jobs.search", `{"q":"cook"}`, cooks)
	pages(recent)
	recent.Call("jobs.apply", `{"job":"104"}`, closed)
	old.Call("jobs.apply", `{"ref":102}`, stage.Want{Output: `"102-ada"`})
}

// pages turns the pages of a search.
func pages(p *stage.Phone) {
	first := p.Call("jobs.search", `{"text":"cook"}`, stage.Want{More: true, Output: `{"jobs":[
		{"id":"101","title":"Cook","town":"Lyon","pay":{"from":2100,"to":2400}},
		{"id":"103","title":"Pastry cook","town":"Nantes","pay":{"from":2000,"to":2200}}]}`},
		client.ServicePage{Limit: 2})
	p.Call("jobs.search", `{"text":"cook"}`, stage.Want{Output: `{"jobs":[
		{"id":"104","title":"Cook's assistant","town":"Lyon","pay":{"from":1900,"to":2000}}]}`},
		client.ServicePage{Cursor: first.Page.Next, Limit: 2})
}
