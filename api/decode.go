package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/herald-push/herald/internal/strictjson"
)

// maxDepth is how many levels of arrays and objects a body may have.
const maxDepth = 32

// form reads the JSON objects of requests into T.
type form[T any] struct{ strict strictjson.Form[T] }

func newForm[T any]() form[T] { return form[T]{strictjson.New[T]()} }

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
func (f form[T]) decodeValid(raw []byte) (T, faults) {
	v, fs := f.strict.Read(raw)
	return v, faults(fs)
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
			return &refusal{status: http.StatusBadRequest, code: "malformed_json", detail: "the body must be a JSON object, not " + strictjson.Given(c)}
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

// faults gathers what is wrong with an input, one fault for a field.
type faults strictjson.Faults

// add notes a fault, unless the field has one already.
func (fs *faults) add(field, detail string) { (*strictjson.Faults)(fs).Add(field, detail) }

func (fs *faults) addf(field, format string, args ...any) {
	fs.add(field, fmt.Sprintf(format, args...))
}

// has reports whether a field, or something inside of it, has a fault.
func (fs *faults) has(field string) bool { return (*strictjson.Faults)(fs).Has(field) }

// err is nil, or all faults as one error.
func (fs faults) err() error { return strictjson.Faults(fs).Err() }

// shorten makes a caller's word fit to be repeated to them.
func shorten(s string) string { return strictjson.Shorten(s) }
