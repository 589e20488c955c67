package providers

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

type words struct {
	Level *int `json:"level"`
	Inner *struct {
		Mood string `json:"mood"`
	} `json:"inner"`
	Sound string `json:"sound"`
}

func wordsOf() *Overrides[words] {
	return NewOverrides("p", func(w *words, faults *Faults) {
		faults.Within("level", w.Level, 1, 5)
		faults.OneOf("sound", w.Sound, "ping", "pong")
		if w.Inner != nil {
			faults.Require("inner.mood", w.Inner.Mood)
		}
	})
}

func TestOverridesTellEveryFaultOnce(t *testing.T) {
	for overrides, want := range map[string]string{
		`{}`:                           "",
		`{"level":3,"sound":"ping"}`:   "",
		`{"level":9,"sound":"bang"}`:   "level sound",
		`{"level":9,"loud":true}`:      "loud level",
		`{"level":"9","sound":"bang"}`: "level sound", // the level could not be read: one word of it is enough
		`{"inner":"x","sound":"bang"}`: "inner sound", // and nothing of what would be inside
		`{"inner":{"mood":1}}`:         "inner.mood",
		`{"inner":{}}`:                 "inner.mood",
		`null`:                         ".",
		`{"level":`:                    ".",
	} {
		var fields []string
		if invalid, ok := errors.AsType[*push.Invalid](wordsOf().Check([]byte(overrides))); ok {
			for _, f := range invalid.Faults {
				if f.Field == "" {
					f.Field = "."
				}
				fields = append(fields, f.Field)
			}
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s: faults at %q, want %q", overrides, got, want)
		}
	}
}

func TestOverridesOfANotification(t *testing.T) {
	o := wordsOf()
	n := &push.Notification{Overrides: map[string]json.RawMessage{"other": json.RawMessage(`{"x":1}`)}}
	if v, err := o.Of(n); err != nil || fmt.Sprint(v) != fmt.Sprint(words{}) {
		t.Errorf("Of() = %+v, %v, want nothing: they are another's", v, err)
	}
	n.Overrides["p"] = json.RawMessage(`{"sound":"pong"}`)
	if v, err := o.Of(n); err != nil || v.Sound != "pong" {
		t.Errorf("Of() = %+v, %v", v, err)
	}
	n.Overrides["p"] = json.RawMessage(`{"sound":"bang"}`)
	if _, err := o.Of(n); !errors.Is(err, push.ErrRejected) || !strings.Contains(err.Error(), "sound") {
		t.Errorf("Of() error = %v, want rejected, with the field", err)
	}
}

func TestTheSoonerEndCounts(t *testing.T) {
	hour, minute := time.Now().Add(time.Hour), 60
	if got := Sooner(hour, nil); !got.Equal(hour) {
		t.Errorf("without a ttl: %v", got)
	}
	if got := Sooner(hour, &minute); time.Until(got) > time.Minute {
		t.Errorf("with an earlier one: %v", got)
	}
	if got := Sooner(time.Time{}, &minute); got.IsZero() || time.Until(got) > time.Minute {
		t.Errorf("with no end: %v", got)
	}
	if got := Sooner(time.Now().Add(time.Second), &minute); time.Until(got) > time.Second {
		t.Errorf("with a later one: %v", got)
	}
}
