package providers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/herald-push/herald/push"
)

func TestNewCredentialsThatAreRefusedAreRetracted(t *testing.T) {
	refused := &push.Error{Provider: "apns", Kind: push.ErrCredentials, Detail: "InvalidProviderToken"}
	ofToken := &push.Error{Provider: "apns", Kind: push.ErrCredentials, Scope: push.ScopeToken}
	busy := &push.Error{Provider: "apns", Kind: push.ErrUnavailable}
	gone := &push.Error{Provider: "apns", Kind: push.ErrUnregistered}
	const why = "the service refused the first 3 message(s) with newer credentials: InvalidProviderToken"
	tests := map[string]struct {
		trial   bool
		answers []error
		want    []string // what the store was told
	}{
		"all are refused":                      {true, []error{refused, refused, refused, refused}, []string{"retract 7: " + why}},
		"too few to tell":                      {true, []error{refused, refused}, nil},
		"the first was taken":                  {true, []error{nil, refused, refused, refused}, []string{"proven 7"}},
		"the third was taken":                  {true, []error{refused, refused, nil, refused}, []string{"proven 7"}},
		"an answer about the device between":   {true, []error{refused, refused, gone, refused}, nil},
		"trouble between says nothing":         {true, []error{refused, busy, refused, busy, refused}, []string{"retract 7: " + why}},
		"refused for one token":                {true, []error{ofToken, ofToken, ofToken}, nil},
		"old credentials are nobody's mistake": {false, []error{refused, refused, refused}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fakes{}
			f.put("demo", "one", 7)
			p := &scripted{answers: tt.answers}
			s := NewSet(f, map[string]Opener{"apns": func([]byte) (Provider, error) { return p, nil }}, nil)
			kept := &keptTrials{on: tt.trial}
			s.TriedBy(kept)
			for range tt.answers {
				_, _ = s.Send(t.Context(), "demo", "apns", &push.Delivery{})
			}
			if !slices.Equal(kept.told, tt.want) {
				t.Errorf("the store was told %q, want %q", kept.told, tt.want)
			}
		})
	}
}

func TestOneRefusalIsEnoughIfTheServiceConfirmsIt(t *testing.T) {
	refused := &push.Error{Provider: "apns", Kind: push.ErrCredentials, Detail: "BadKey"}
	for name, tt := range map[string]struct {
		check error
		want  []string
	}{
		"it does":                {refused, []string{"retract 7: the service refused the first 1 message(s) with newer credentials: BadKey"}},
		"it takes them":          {nil, nil},
		"it cannot be asked now": {&push.Error{Kind: push.ErrUnavailable}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakes{}
			f.put("demo", "one", 7)
			p := &checked{scripted{answers: []error{refused}}, tt.check}
			s := NewSet(f, map[string]Opener{"apns": func([]byte) (Provider, error) { return p, nil }}, nil)
			kept := &keptTrials{on: true}
			s.TriedBy(kept)
			_, _ = s.Send(t.Context(), "demo", "apns", &push.Delivery{})
			if !slices.Equal(kept.told, tt.want) {
				t.Errorf("the store was told %q, want %q", kept.told, tt.want)
			}
		})
	}
}

// checked is one that can be asked.
type checked struct {
	scripted
	answer error
}

func (p *checked) Check(context.Context) (string, error) { return "asked", p.answer }

func TestARequestToManyCountsOnce(t *testing.T) {
	refused := push.Reply{Err: &push.Error{Kind: push.ErrCredentials}}
	if err := ofRequest([]push.Reply{refused, {}, refused}); err != nil {
		t.Errorf("a request that somebody got is %v", err)
	}
	if err := ofRequest([]push.Reply{refused, refused}); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("a request that nobody got is %v", err)
	}
}

// scripted answers as it is told.
type scripted struct{ answers []error }

func (p *scripted) Send(context.Context, *push.Delivery) (push.Answer, error) {
	err := p.answers[0]
	p.answers = p.answers[1:]
	return push.Answer{}, err
}
func (p *scripted) Weigh(*push.Delivery) (push.Payload, error) { return push.Payload{}, nil }

// keptTrials is a store that keeps what it is told.
type keptTrials struct {
	on   bool
	mu   sync.Mutex
	told []string
}

func (k *keptTrials) OnTrial(_ context.Context, _, _ string, version int64) (bool, error) {
	return k.on && version == 7, nil
}

func (k *keptTrials) Proven(_ context.Context, _, _ string, version int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, fmt.Sprintf("proven %d", version))
	return nil
}

func (k *keptTrials) Retract(_ context.Context, _, _ string, version int64, why string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, fmt.Sprintf("retract %d: %s", version, why))
	return nil
}
