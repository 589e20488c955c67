package api

import "testing"

func TestOnlyWhatShowsNothingNeedsNoTitle(t *testing.T) {
	const silent, loud = `{"word":"none"}`, `{"word":"loud"}`
	for name, tt := range map[string]struct {
		more   string
		status int
	}{
		"nothing said":                        {``, 422},
		"data alone":                          {`,"data":{"k":"v"}`, 422},
		"told so, and Herald picks the roads": {`,"overrides":{"apns":` + silent + `}`, 422},
		"told so, on the one road":            {`,"route":{"roads":["apns"]},"overrides":{"apns":` + silent + `}`, 202},
		"told so, on both roads":              {`,"route":{"roads":["apns","fcm"]},"overrides":{"apns":` + silent + `,"fcm":` + silent + `}`, 202},
		"told so on one of two":               {`,"route":{"roads":["apns","fcm"]},"overrides":{"apns":` + silent + `}`, 422},
		"told so, and auto beside it":         {`,"route":{"roads":["apns","auto"]},"overrides":{"apns":` + silent + `}`, 422},
		"told something else":                 {`,"route":{"roads":["apns"]},"overrides":{"apns":` + loud + `}`, 422},
		"a road that always shows":            {`,"route":{"roads":["huawei"]},"overrides":{"apns":` + silent + `}`, 422},
	} {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask("POST", "/v1/notifications", adminKey, `{"to":{"device":"d1"}`+tt.more+`}`, "Content-Type", "application/json")
			if got.status != tt.status {
				t.Fatalf("status = %d, want %d: %s", got.status, tt.status, got.raw)
			}
			if p := got; p.status == 422 {
				if faults := p.problem(t).Faults; len(faults) != 1 || faults[0].Field != "title" {
					t.Errorf("faults = %+v, want title alone", faults)
				}
			}
		})
	}
}
