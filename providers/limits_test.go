package providers

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

// bound is a provider with a table of limits.
type bound struct{ Provider }

func (bound) Limits() (push.Limits, error) {
	return ParseLimits([]byte(`{"source": "a test", "date": "2026-03-01", "per_second": 100, "quotas": [
		{"name": "ads", "classes": ["marketing"], "per_device": true, "limit": 2}, {"name": "public"}]}`))
}

func TestAppChangesItsLimits(t *testing.T) {
	open := func([]byte) (Provider, error) { return bound{}, nil }
	tests := map[string]struct {
		credentials string
		rate        float64
		ads, public int64 // limits; -1 where there is no such quota
		fault       string
	}{
		"it says nothing":             {`{}`, 100, 2, 0, ""},
		"a contract with a rate":      {`{"limits":{"per_second":9000}}`, 9000, 2, 0, ""},
		"no bound at all":             {`{"limits":{"per_second":0}}`, 0, 2, 0, ""},
		"an app of news":              {`{"limits":{"quotas":{"ads":5,"public":20000}}}`, 100, 5, 20000, ""},
		"no quota of devices":         {`{"limits":{"quotas":{"ads":0}}}`, 100, -1, 0, ""},
		"a rate below nothing":        {`{"limits":{"per_second":-1}}`, 0, 0, 0, "limits.per_second"},
		"a quota that is not there":   {`{"limits":{"quotas":{"adds":5}}}`, 0, 0, 0, "limits.quotas.adds"},
		"a quota below nothing":       {`{"limits":{"quotas":{"ads":-5}}}`, 0, 0, 0, "limits.quotas.ads"},
		"words instead of a number":   {`{"limits":{"per_second":"many"}}`, 0, 0, 0, "limits.per_second"},
		"a list instead of an object": {`{"limits":[1]}`, 0, 0, 0, "limits"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSet(fixedCredentials(tt.credentials), map[string]Opener{"p": open}, nil)
			err := s.Check("p", []byte(tt.credentials))
			if tt.fault != "" {
				var invalid *push.Invalid
				if !errors.As(err, &invalid) || invalid.Faults[0].Field != tt.fault {
					t.Fatalf("Check() = %v, want a fault of %s", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatalf("Check() = %v", err)
			}
			l := s.Limits(t.Context(), "demo", "p")
			got := map[string]int64{"ads": -1, "public": -1}
			for _, q := range l.Quotas {
				got[q.Name] = q.Limit
			}
			if l.PerSecond != tt.rate || got["ads"] != tt.ads || got["public"] != tt.public {
				t.Errorf("Limits() = %v a second, %v", l.PerSecond, got)
			}
		})
	}
}

func TestTableOfLimitsIsChecked(t *testing.T) {
	for name, table := range map[string]string{
		"without a source":               `{"date":"2026-03-01"}`,
		"two quotas of one name":         `{"source":"x","date":"y","quotas":[{"name":"a"},{"name":"a"}]}`,
		"a class that is not":            `{"source":"x","date":"y","quotas":[{"name":"a","classes":["news"]}]}`,
		"a device's quota of no number":  `{"source":"x","date":"y","quotas":[{"name":"a","per_device":true}]}`,
		"something else than a document": `[]`,
	} {
		if _, err := ParseLimits([]byte(table)); err == nil || !strings.Contains(err.Error(), "limits") {
			t.Errorf("%s: ParseLimits() = %v, want a fault", name, err)
		}
	}
}

type fixedCredentials string

func (c fixedCredentials) Credentials(context.Context, string, string) ([]byte, int64, error) {
	return []byte(c), 1, nil
}
