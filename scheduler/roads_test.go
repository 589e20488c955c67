package scheduler

import (
	"slices"
	"testing"

	"github.com/herald-push/herald/push"
)

// inOrder ranks providers as they come.
type inOrder struct{}

func (inOrder) Rank(q *push.Question) []push.Choice {
	all := make([]push.Choice, len(q.Providers))
	for i, p := range q.Providers {
		all[i].Provider = p
	}
	return all
}

func TestWhatCostsMoneyIsTakenOnlyWhereItIsAllowed(t *testing.T) {
	allowed := push.Policy{SMSClasses: []push.Class{push.OTP}}
	tests := map[string]struct {
		addresses, route []string
		policy           push.Policy
		class            push.Class
		want             []string // roads that can be taken
	}{
		"never for the asking of auto":           {[]string{"apns", "sms", "smpp"}, []string{"auto"}, allowed, push.OTP, []string{"apns"}},
		"last where the policy allows the class": {[]string{"sms", "apns"}, nil, allowed, push.OTP, []string{"apns", "sms"}},
		"by SMPP where the device has that":      {[]string{"smpp", "apns"}, nil, allowed, push.OTP, []string{"apns", "smpp"}},
		"not for another class":                  {[]string{"apns", "sms", "smpp"}, nil, allowed, push.Marketing, []string{"apns"}},
		"not even by name against the policy":    {[]string{"apns", "smpp"}, []string{"smpp", "apns"}, push.Policy{}, push.OTP, []string{"apns"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &push.Device{ID: "phone"}
			for _, p := range tt.addresses {
				d.Addresses = append(d.Addresses, push.Address{Provider: p})
			}
			n := &push.Notification{Class: tt.class, Route: push.Route{Roads: tt.route}}
			var got []string
			for _, r := range roads(inOrder{}, n, d, tt.policy, false, asked{}) {
				if r.Skipped == "" {
					got = append(got, r.Provider)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("roads = %v, want %v", got, tt.want)
			}
		})
	}
}
