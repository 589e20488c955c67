// Package strictjson reads JSON objects into structs and knows all that can be
// wrong with them.
//
// encoding/json stops at the first fault, takes "TITLE" for "title", lets the
// last of two equal names win and replaces what is not UTF-8. A [Form] takes
// none of this and names every fault with its path. It leaves the grammar, and
// the meaning of escapes, to encoding/json.
package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/herald-push/herald/push"
)

// MaxFaults bounds the faults of one body; the rest would help nobody.
const MaxFaults = 100

// Form reads JSON objects into T, a struct of strings, booleans, int, float64,
// [json.RawMessage] and pointers, slices, maps and structs of these. It is safe
// for concurrent use.
type Form[T any] struct{ root *shape }

// New makes a form.
func New[T any]() Form[T] { return Form[T]{shapeOf(reflect.TypeFor[T]())} }

// Read reads JSON that was found valid, of bounded depth. The faults come
// beside what could be read, which may share memory with raw.
func (f Form[T]) Read(raw []byte) (v T, fs Faults) {
	w := walker{raw: raw}
	w.value(f.root, reflect.ValueOf(&v).Elem(), &place{})
	return v, w.faults
}

// shape is a Go type as the JSON it is read from.
type shape struct {
	kind   reflect.Kind // of the value; Invalid for raw JSON
	fields map[string]field
	elem   *shape // of a pointer, slice or map
}

type field struct {
	index int
	shape *shape
}

func shapeOf(t reflect.Type) *shape {
	if t == reflect.TypeFor[json.RawMessage]() {
		return &shape{}
	}
	s := &shape{kind: t.Kind()}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		s.elem = shapeOf(t.Elem())
	case reflect.Struct:
		s.fields = make(map[string]field, t.NumField())
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			s.fields[name] = field{i, shapeOf(t.Field(i).Type)}
		}
	default: // a value without parts
	}
	return s
}

// Faults gathers what is wrong with an input, one fault for a field.
type Faults []push.Fault

// Add notes a fault, unless the field has one already.
func (fs *Faults) Add(field, detail string) {
	if len(*fs) < MaxFaults && !fs.Has(field) {
		*fs = append(*fs, push.Fault{Field: field, Detail: detail})
	}
}

// Addf is Add with a format.
func (fs *Faults) Addf(field, format string, args ...any) {
	fs.Add(field, fmt.Sprintf(format, args...))
}

// Has reports whether a field, or something inside of it, has a fault.
func (fs *Faults) Has(field string) bool {
	for _, f := range *fs {
		if rest, ok := strings.CutPrefix(f.Field, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// Err is nil, or all faults as one *push.Invalid.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return &push.Invalid{Faults: fs}
}
