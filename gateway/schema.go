package gateway

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/herald-push/herald/push"
)

// schema is a JSON Schema, compiled; nil takes everything. It refers to nothing
// outside of itself.
type schema struct{ compiled *jsonschema.Schema }

func (c *compiler) schema(field string, raw json.RawMessage) *schema {
	if len(raw) == 0 {
		return nil
	}
	doc, err := decode(raw)
	if err != nil {
		c.faults.Add(field, "is not JSON")
		return nil
	}
	const here = "urn:herald:schema"
	js := jsonschema.NewCompiler()
	js.UseLoader(jsonschema.SchemeURLLoader{}) // no file and no address is read
	js.DefaultDraft(jsonschema.Draft2020)
	if err := js.AddResource(here, doc); err != nil {
		c.faults.Add(field, "is no JSON Schema: "+err.Error())
		return nil
	}
	compiled, err := js.Compile(here)
	if err != nil {
		c.faults.Add(field, "is no JSON Schema: "+strings.ReplaceAll(err.Error(), here, ""))
		return nil
	}
	return &schema{compiled}
}

// maxSchemaFaults bounds what is told of one value.
const maxSchemaFaults = 20

// check names every fault of a value.
func (s *schema) check(v any) []push.Fault {
	if s == nil {
		return nil
	}
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	deep, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // Validate returns it as it is
	if !ok {
		return []push.Fault{{Detail: "cannot be held against the schema"}}
	}
	var faults []push.Fault
	leaves(deep, message.NewPrinter(language.English), &faults)
	return faults
}

// leaves gathers the innermost faults: the others only say that there are some.
func leaves(e *jsonschema.ValidationError, p *message.Printer, faults *[]push.Fault) {
	if len(*faults) == maxSchemaFaults {
		return
	}
	if len(e.Causes) == 0 {
		*faults = append(*faults, push.Fault{Field: path(e.InstanceLocation), Detail: e.ErrorKind.LocalizedString(p)})
		return
	}
	for _, cause := range e.Causes {
		leaves(cause, p, faults)
	}
}

// path is where in a value something is: "people[2].name".
func path(location []string) string {
	var b strings.Builder
	for _, part := range location {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}
