package strictjson

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// place is where in the document the walker stands, kept on the stack so that
// a path costs nothing until there is a fault.
type place struct {
	up    *place
	name  string
	index int
	array bool
}

func (p *place) String() string {
	switch {
	case p.up == nil:
		return ""
	case p.array:
		return p.up.String() + "[" + strconv.Itoa(p.index) + "]"
	}
	up, name := p.up.String(), Shorten(p.name)
	if up == "" {
		return name
	}
	return up + "." + name
}

// Shorten makes a caller's word fit to be repeated to them.
func Shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// walker goes through a well-formed document once and fills values by shape.
type walker struct {
	raw    []byte
	pos    int
	faults Faults
}

func (w *walker) fault(p *place, detail string) { w.faults.Add(p.String(), detail) }

func (w *walker) space() {
	for w.pos < len(w.raw) {
		switch w.raw[w.pos] {
		case ' ', '\t', '\n', '\r':
			w.pos++
		default:
			return
		}
	}
}

// value reads the next value into v. A value of another type is skipped.
func (w *walker) value(s *shape, v reflect.Value, p *place) {
	w.space()
	if s.kind == reflect.Invalid {
		v.SetBytes(w.skip())
		return
	}
	c := w.raw[w.pos]
	switch {
	case s.kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		w.value(s.elem, v.Elem(), p)
	case s.kind == reflect.Struct && c == '{':
		w.object(s, v, p)
	case s.kind == reflect.Map && c == '{':
		w.dict(s, v, p)
	case s.kind == reflect.Slice && c == '[':
		w.array(s, v, p)
	case s.kind == reflect.String && c == '"':
		v.SetString(w.text(p))
	case s.kind == reflect.Bool && (c == 't' || c == 'f'):
		v.SetBool(c == 't')
		w.skip()
	case (s.kind == reflect.Int || s.kind == reflect.Float64) && (c == '-' || '0' <= c && c <= '9'):
		w.number(s, v, p)
	default:
		w.skip()
		w.fault(p, "must be "+wanted(s.kind)+", not "+Given(c))
	}
}

// object reads the members of a struct. A null is as if it were left out.
func (w *walker) object(s *shape, v reflect.Value, p *place) {
	var seen uint64
	w.members(p, func(at *place) {
		f, known := s.fields[at.name]
		switch {
		case !known:
			w.skip()
			w.fault(at, "is not a field known here")
		case seen&(1<<f.index) != 0:
			w.skip()
			w.fault(at, "is given twice")
		case w.raw[w.pos] == 'n':
			w.skip()
		default:
			w.value(f.shape, v.Field(f.index), at)
		}
		if known {
			seen |= 1 << f.index
		}
	})
}

func (w *walker) dict(s *shape, v reflect.Value, p *place) {
	v.Set(reflect.MakeMap(v.Type()))
	elem := reflect.New(v.Type().Elem()).Elem()
	w.members(p, func(at *place) {
		key := reflect.ValueOf(at.name)
		if v.MapIndex(key).IsValid() {
			w.skip()
			w.fault(at, "is given twice")
			return
		}
		elem.SetZero()
		w.value(s.elem, elem, at)
		v.SetMapIndex(key, elem)
	})
}

// members calls visit for each member with the walker before its value.
func (w *walker) members(p *place, visit func(at *place)) {
	w.pos++ // {
	for {
		w.space()
		switch w.raw[w.pos] {
		case '}':
			w.pos++
			return
		case ',':
			w.pos++
			continue
		}
		at := place{up: p}
		at.name = w.text(p)
		w.space()
		w.pos++ // :
		w.space()
		visit(&at)
	}
}

func (w *walker) array(s *shape, v reflect.Value, p *place) {
	w.pos++ // [
	elem := reflect.New(v.Type().Elem()).Elem()
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for at := (place{up: p, array: true}); ; {
		w.space()
		switch w.raw[w.pos] {
		case ']':
			w.pos++
			v.Set(list)
			return
		case ',':
			w.pos++
			continue
		}
		elem.SetZero()
		w.value(s.elem, elem, &at)
		list = reflect.Append(list, elem)
		at.index++
	}
}

// text reads a string; p is the value, or for a name the object it is in.
func (w *walker) text(p *place) string {
	lit, escaped := w.stringLiteral()
	if !utf8.Valid(lit) {
		w.fault(p, "is not valid UTF-8")
		return ""
	}
	if !escaped {
		return string(lit[1 : len(lit)-1])
	}
	var s string
	if err := json.Unmarshal(lit, &s); err != nil || loneSurrogate(lit) {
		w.fault(p, `has half of a \u surrogate pair, which is no character`)
		return ""
	}
	return s
}

func (w *walker) stringLiteral() (lit []byte, escaped bool) {
	start := w.pos
	for w.pos++; w.raw[w.pos] != '"'; w.pos++ {
		if w.raw[w.pos] == '\\' {
			escaped = true
			w.pos++
		}
	}
	w.pos++
	return w.raw[start:w.pos], escaped
}

// loneSurrogate finds \ud800 to \udfff without its other half, for which
// encoding/json puts U+FFFD.
func loneSurrogate(lit []byte) bool {
	unit := func(i int) uint64 { // the \uXXXX at i, or 0
		if i+6 > len(lit) || lit[i] != '\\' || lit[i+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(lit[i+2:i+6]), 16, 16)
		return n
	}
	for i := 0; i < len(lit); i++ {
		if lit[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		case u >= 0xd800 && u <= 0xdbff:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		default:
			i++ // the escaped character
		}
	}
	return false
}

func (w *walker) number(s *shape, v reflect.Value, p *place) {
	lit := string(w.skip())
	if s.kind == reflect.Float64 {
		f, err := strconv.ParseFloat(lit, 64)
		if err != nil {
			w.fault(p, "is out of range")
		}
		v.SetFloat(f)
		return
	}
	n, err := strconv.ParseInt(lit, 10, 64)
	switch {
	case err == nil:
		v.SetInt(n)
	case strings.ContainsAny(lit, ".eE"):
		w.fault(p, "must be a whole number")
	default:
		w.fault(p, "is out of range")
	}
}

// skip passes over one value and returns its text.
func (w *walker) skip() []byte {
	start, depth := w.pos, 0
	for {
		switch w.raw[w.pos] {
		case '"':
			w.stringLiteral()
			w.pos--
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.pos++
		if depth == 0 && w.valueEnds(start) {
			return w.raw[start:w.pos]
		}
	}
}

// valueEnds reports whether the value from start is whole at the walker's
// place. Numbers and words end before the next mark, all others with one.
func (w *walker) valueEnds(start int) bool {
	switch w.raw[start] {
	case '"', '{', '[':
		return true
	}
	return w.pos == len(w.raw) || strings.IndexByte(",]} \t\r\n", w.raw[w.pos]) >= 0
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "a number"
	}
}

// Given names the kind of a JSON value by its first byte.
func Given(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
