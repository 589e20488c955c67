package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/herald-push/herald/push"
)

// Limiter is a provider whose service documents how much it takes. The figures
// are data, with source and date, in the limits.json of the provider's folder.
type Limiter interface {
	Limits() (push.Limits, error)
}

// ParseLimits reads a table and checks that it can be used.
func ParseLimits(table []byte) (push.Limits, error) {
	var l push.Limits
	if err := json.Unmarshal(table, &l); err != nil {
		return l, fmt.Errorf("providers: limits: %w", err)
	}
	var errs []error
	if l.Source == "" || l.Date == "" {
		errs = append(errs, errors.New("providers: limits: no source or no date"))
	}
	names := map[string]bool{}
	for _, q := range l.Quotas {
		if q.Name == "" || names[q.Name] || q.Limit < 0 {
			errs = append(errs, fmt.Errorf("providers: limits: quota %q has no name of its own, or a limit below 0", q.Name))
		}
		names[q.Name] = true
		if q.PerDevice && q.Limit == 0 {
			errs = append(errs, fmt.Errorf("providers: limits: quota %q for each device has no number", q.Name))
		}
		if i := slices.IndexFunc(q.Classes, func(c push.Class) bool { return !c.Known() }); i >= 0 {
			errs = append(errs, fmt.Errorf("providers: limits: quota %q binds class %q", q.Name, q.Classes[i]))
		}
	}
	return l, errors.Join(errs...)
}

// override is what an app may say in its credentials, under "limits", about
// what the service takes from it: contracts differ from the documents.
type override struct {
	Limits *struct {
		PerSecond *float64         `json:"per_second"`
		Quotas    map[string]int64 `json:"quotas"`
	} `json:"limits"`
}

// limitsOf are the provider's limits, as the app's credentials change them.
// Faults in them are a *push.Invalid.
func limitsOf(p Provider, credentials []byte) (push.Limits, error) {
	var l push.Limits
	if limiter, ok := p.(Limiter); ok {
		var err error
		if l, err = limiter.Limits(); err != nil {
			return l, err
		}
	}
	var o override
	if !json.Valid(credentials) { // whoever opened the provider knows what it is
		return l, nil
	}
	if err := Decode(credentials, &o); err != nil || o.Limits == nil {
		return l, err
	}
	var faults Faults
	if rate := o.Limits.PerSecond; rate != nil {
		if *rate < 0 || *rate > 1e6 {
			faults.Add("limits.per_second", "must be from 0, which is no bound, to 1000000")
		}
		l.PerSecond = *rate
	}
	l.Quotas = slices.Clone(l.Quotas)
	for _, name := range slices.Sorted(maps.Keys(o.Limits.Quotas)) {
		field := fmt.Sprintf("limits.quotas.%.40s", name)
		i := slices.IndexFunc(l.Quotas, func(q push.Quota) bool { return q.Name == name })
		switch limit := o.Limits.Quotas[name]; {
		case i < 0:
			faults.Add(field, "is none of this provider's quotas"+namesOf(l.Quotas))
		case limit < 0:
			faults.Add(field, "must be at least 0, which is no limit")
		case limit == 0 && l.Quotas[i].PerDevice:
			l.Quotas = slices.Delete(l.Quotas, i, i+1)
		default:
			l.Quotas[i].Limit = limit
		}
	}
	return l, faults.Err()
}

func namesOf(quotas []push.Quota) string {
	if len(quotas) == 0 {
		return "; it has none"
	}
	text := ":"
	for _, q := range quotas {
		text += " " + q.Name
	}
	return text
}

// Limits are those of the app's provider of that name; none where it cannot be
// opened.
func (s *Set) Limits(ctx context.Context, app, provider string) push.Limits {
	if _, err := s.provider(ctx, app, provider); err != nil {
		return push.Limits{}
	}
	if e, ok := s.open.Load(key{app, provider}); ok {
		if cur := e.(*entry).current.Load(); cur != nil {
			return cur.limits
		}
	}
	return push.Limits{}
}
