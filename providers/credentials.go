package providers

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/herald-push/herald/push"
)

// Decode reads an app's credentials into v, a pointer to a struct. Its error is
// a *push.Invalid that repeats nothing of what was read.
func Decode(credentials []byte, v any) error {
	err := json.NewDecoder(bytes.NewReader(credentials)).Decode(v)
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mistyped):
		return &push.Invalid{Faults: []push.Fault{{Field: mistyped.Field, Detail: "must not be a " + mistyped.Value}}}
	default:
		return &push.Invalid{Faults: []push.Fault{{Field: "", Detail: "is not a JSON object"}}}
	}
}

// Faults gathers what is wrong with credentials, so that all of it is told at once.
type Faults []push.Fault

// Add notes a fault.
func (f *Faults) Add(field, detail string) {
	*f = append(*f, push.Fault{Field: field, Detail: detail})
}

// Require notes a fault if the value is empty.
func (f *Faults) Require(field, value string) {
	if value == "" {
		f.Add(field, "is missing")
	}
}

// Endpoint notes a fault if a given address is not an absolute one with one of
// the schemes. An empty one is the vendor's own.
func (f *Faults) Endpoint(field, value string, schemes ...string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	if err == nil && slices.Contains(schemes, u.Scheme) && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return
	}
	detail := "must be an address like " + schemes[0] + "://host:port"
	f.Add(field, detail)
}

// TLS is the configuration for a service with certificates of its own in ca, PEM;
// it notes a fault of the field "ca" if there are none in it.
func (f *Faults) TLS(ca string) *tls.Config {
	c, err := TLS(ca)
	if err != nil {
		f.Add("ca", "holds no certificate in PEM")
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c
}

// Classes notes the keys of a field that are no message classes.
func (f *Faults) Classes(field string, by map[push.Class]string) {
	for _, class := range slices.Sorted(maps.Keys(by)) {
		if !class.Known() {
			f.Add(fmt.Sprintf("%s.%.20s", field, class), "is no message class")
		}
	}
}

// Err is the *push.Invalid with every fault, or nil.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &push.Invalid{Faults: f}
}
