package sandbox

import (
	"encoding/xml"
	"errors"
	"io"
)

var (
	errStreamOver = errors.New("the stream is over")
	errRestricted = errors.New("what XMPP forbids") // comments, declarations, processing instructions
)

// nextStart reads the header of a stream.
func nextStart(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			start := t.Copy()
			return &start, nil
		case xml.ProcInst, xml.CharData: // <?xml version='1.0'?>
		default:
			return nil, errRestricted
		}
	}
}

// nextStanza reads a stanza whole. What stands between keeps the connection
// alive.
func nextStanza(d *xml.Decoder) (*stanza, error) {
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			st := &stanza{}
			return st, d.DecodeElement(st, &t)
		case xml.CharData:
		case xml.EndElement:
			return nil, errStreamOver
		default:
			return nil, errRestricted
		}
	}
}

// conditionFor is what a server says to a stream that it cannot read; "" if it
// has ended.
func conditionFor(err error) string {
	var wrong *xml.SyntaxError
	switch {
	case errors.Is(err, errRation):
		return "stream-policy-violation"
	case errors.Is(err, errRestricted):
		return "stream-restricted-xml"
	case errors.As(err, &wrong) && !errors.Is(err, io.ErrUnexpectedEOF) && wrong.Msg != "unexpected EOF":
		return "stream-not-well-formed"
	}
	return ""
}
