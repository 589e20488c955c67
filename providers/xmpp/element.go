package xmpp

import (
	"encoding/xml"
	"errors"
	"io"
)

// Bounds of what is read: the bytes of one stanza and how deep it may nest.
const (
	maxRead  = 256 << 10
	maxDepth = 32
)

var (
	errTooLarge = errors.New("a stanza is too large")
	errTooDeep  = errors.New("a stanza nests too deep")
	errForeign  = errors.New("the stream has what XMPP forbids") // comments, declarations of entities
	errOver     = errors.New("the server ended the stream")
)

// element is what was read, without what nobody looks at.
type element struct {
	xml.StartElement

	children []*element
	text     string // that of itself, not of its children
}

func (e *element) attr(name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// child finds a child; either name may be empty for any.
func (e *element) child(space, local string) *element {
	for _, c := range e.children {
		if (space == "" || c.Name.Space == space) && (local == "" || c.Name.Local == local) {
			return c
		}
	}
	return nil
}

// reader reads a stream element by element. encoding/xml knows no entities but
// XML's own five, and those of a declaration are refused with it.
type reader struct {
	in     io.Reader
	budget int
	dec    *xml.Decoder
}

func newReader(in io.Reader) *reader {
	r := &reader{in: in, budget: maxRead}
	r.dec = xml.NewDecoder(r)
	return r
}

// Read is the decoder's, within the budget of a stanza.
func (r *reader) Read(p []byte) (int, error) {
	if r.budget <= 0 {
		return 0, errTooLarge
	}
	n, err := r.in.Read(p[:min(len(p), r.budget)])
	r.budget -= n
	return n, err
}

// open reads the stream's header.
func (r *reader) open() (*element, error) {
	for {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &element{StartElement: t.Copy()}, nil
		case xml.ProcInst: // <?xml version='1.0'?>
		case xml.CharData:
		default:
			return nil, errForeign
		}
	}
}

// next reads the next whole element; what stands between is whitespace that
// keeps the connection alive.
func (r *reader) next() (*element, error) {
	for {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			e, err := r.rest(t.Copy(), maxDepth)
			r.budget = maxRead
			return e, err
		case xml.CharData:
			r.budget = maxRead
		case xml.EndElement:
			return nil, errOver
		default:
			return nil, errForeign
		}
	}
}

func (r *reader) rest(start xml.StartElement, depth int) (*element, error) {
	if depth == 0 {
		return nil, errTooDeep
	}
	e := &element{StartElement: start}
	var text []byte
	for {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			c, err := r.rest(t.Copy(), depth-1)
			if err != nil {
				return nil, err
			}
			e.children = append(e.children, c)
		case xml.CharData:
			text = append(text, t...)
		case xml.EndElement:
			e.text = string(text)
			return e, nil
		default:
			return nil, errForeign
		}
	}
}
