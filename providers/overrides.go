package providers

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/internal/strictjson"
	"github.com/herald-push/herald/push"
)

// Overrides reads what a notification says to one provider alone: the object of
// the provider's name in its "overrides". T is the provider's own struct of it,
// whose JSON names are all that may be given.
type Overrides[T any] struct {
	provider string
	form     strictjson.Form[T]
	check    func(*T, *Faults)
}

// NewOverrides makes a reader. What types alone do not say about T is checked
// by check, which must be the same for the same T and may be nil.
func NewOverrides[T any](provider string, check func(*T, *Faults)) *Overrides[T] {
	return &Overrides[T]{provider, strictjson.New[T](), check}
}

// Check tells what is wrong with an object, for the door: a *push.Invalid whose
// fields are paths inside of it.
func (o *Overrides[T]) Check(raw []byte) error {
	_, err := o.read(raw)
	return err
}

// Of returns the notification's object, and the zero T if it has none. An
// object that [Overrides.Check] refuses, as an older Herald or another caller
// than the door may have let in, is a *push.Error of kind [push.ErrRejected].
func (o *Overrides[T]) Of(n *push.Notification) (T, error) {
	raw, ok := n.Overrides[o.provider]
	if !ok {
		var none T
		return none, nil
	}
	v, err := o.read(raw)
	if err != nil {
		return v, &push.Error{Provider: o.provider, Kind: push.ErrRejected, Detail: "the overrides cannot be used", Err: err}
	}
	return v, nil
}

func (o *Overrides[T]) read(raw []byte) (T, error) {
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		var none T
		return none, &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "must be an object"}}}
	}
	v, read := o.form.Read(raw)
	faults := Faults(read)
	if o.check != nil {
		var more Faults
		o.check(&v, &more)
		slices.SortStableFunc(more, func(a, b push.Fault) int { return strings.Compare(a.Field, b.Field) })
		more = slices.CompactFunc(more, func(a, b push.Fault) bool { return a.Field == b.Field })
		faults = append(faults, slices.DeleteFunc(more, func(f push.Fault) bool {
			return slices.ContainsFunc(read, func(unread push.Fault) bool { return related(unread.Field, f.Field) })
		})...)
	}
	return v, faults.Err()
}

// related reports whether one field is the other or inside of it: of what could
// not be read nothing more is to be said.
func related(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// OneOf notes a fault if a given word is not one of those that may be.
func (f *Faults) OneOf(field, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		f.Add(field, "is none of "+strings.Join(words, ", "))
	}
}

// Within notes a fault if a given number is not from least to most.
func (f *Faults) Within(field string, value *int, least, most int) {
	if value != nil && (*value < least || *value > most) {
		f.Add(field, between(least, most))
	}
}

func between(least, most int) string {
	return "must be " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
}
