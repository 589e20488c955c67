package gateway

import (
	"encoding/json"
	"strconv"
)

// AppendJSON appends the answer as clients read it, which is what encoding/json
// makes of it; but the output, the most of it, is passed on as it is.
func (a *Answer) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"version":`...), int64(a.Version), 10)
	if len(a.Output) > 0 {
		b = append(append(b, `,"output":`...), a.Output...)
	}
	rest := *a
	rest.Output = nil
	if rest.Page == nil && rest.Partial == nil && rest.Deprecated == nil && rest.Cached == "" && !rest.NotModified {
		b = append(append(b, `,"etag":"`...), a.ETag...) // letters, digits, - and _
		return append(b, `"}`...)
	}
	raw, _ := json.Marshal(rest) // texts and numbers
	// The version, which comes first, is there already.
	for i, c := range raw {
		if c == ',' {
			return append(b, raw[i:]...)
		}
	}
	return append(b, '}')
}
