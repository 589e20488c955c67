package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/herald-push/herald/push"
)

const (
	maxDepth  = 32  // levels of arrays and objects in a body
	maxFaults = 100 // of one body; the rest would help nobody
)

// form reads JSON objects into T and knows all that can be wrong with them.
//
// encoding/json stops at the first fault, takes "TITLE" for "title", lets the
// last of two equal names win and replaces what is not UTF-8. A form takes none
// of this and names every fault with its path. It leaves the grammar, and the
// meaning of escapes, to encoding/json.
type form[T any] struct{ root *shape }

func newForm[T any]() form[T] { return form[T]{shapeOf(reflect.TypeFor[T]())} }

// decode reads a whole body. Its error is a [refusal] for what is not a JSON
// object; faults inside the object are returned beside what could be read.
func (f form[T]) decode(raw []byte) (T, faults, error) {
	var v T
	if err := wellFormed(raw); err != nil {
		return v, nil, err
	}
	v, fs := f.decodeValid(raw)
	return v, fs, nil
}

// decodeValid is decode for JSON that was found well formed already.
func (f form[T]) decodeValid(raw []byte) (v T, fs faults) {
	w := walker{raw: raw}
	w.value(f.root, reflect.ValueOf(&v).Elem(), &place{})
	return v, w.faults
}

// wellFormed refuses what is not one JSON object of bounded depth. Depth comes
// first, for encoding/json recurses.
func wellFormed(raw []byte) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return &refusal{status: http.StatusBadRequest, code: "malformed_json", detail: "the body is empty; it must be a JSON object"}
	}
	if tooDeep(raw) {
		return &refusal{status: http.StatusBadRequest, code: "json_too_deep", detail: fmt.Sprintf("the body is nested deeper than %d levels", maxDepth)}
	}
	if json.Valid(raw) {
		if c := bytes.TrimLeft(raw, " \t\r\n")[0]; c != '{' {
			return &refusal{status: http.StatusBadRequest, code: "malformed_json", detail: "the body must be a JSON object, not " + given(c)}
		}
		return nil
	}
	detail := "the body is not valid JSON"
	var syntax *json.SyntaxError
	var ignored json.RawMessage
	if err := json.Unmarshal(raw, &ignored); errors.As(err, &syntax) {
		detail += fmt.Sprintf(" at byte %d: %s", syntax.Offset, syntax.Error())
	}
	return &refusal{status: http.StatusBadRequest, code: "malformed_json", detail: detail}
}

// tooDeep reports whether brackets outside of strings nest beyond maxDepth.
func tooDeep(raw []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
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

// faults gathers what is wrong with an input, one fault for a field.
type faults []push.Fault

// add notes a fault, unless the field has one already.
func (fs *faults) add(field, detail string) {
	if len(*fs) < maxFaults && !fs.has(field) {
		*fs = append(*fs, push.Fault{Field: field, Detail: detail})
	}
}

func (fs *faults) addf(field, format string, args ...any) {
	fs.add(field, fmt.Sprintf(format, args...))
}

// has reports whether a field, or something inside of it, has a fault.
func (fs *faults) has(field string) bool {
	for _, f := range *fs {
		if rest, ok := strings.CutPrefix(f.Field, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// err is nil, or all faults as one error.
func (fs faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	return &push.Invalid{Faults: fs}
}
