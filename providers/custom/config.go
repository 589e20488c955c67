package custom

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// config is the JSON of an app's credentials. The package's comment explains it.
type config struct {
	requestConfig
	answerConfig
	Endpoint     string            `json:"endpoint"`
	AllowPrivate bool              `json:"allow_private"`
	CA           string            `json:"ca"` // PEM, trusted beside the system's
	Vars         map[string]string `json:"vars"`
	Auth         *authConfig       `json:"auth"`
	Receipts     *receiptsConfig   `json:"receipts"`
	Batch        *batchConfig      `json:"batch"`       // nil: one device in a request
	Check        *requestConfig    `json:"check"`       // that sends nothing; nil if the service has none
	LimitBytes   int               `json:"limit_bytes"` // of the body; 0 if there is none

	// For people who read the configuration.
	Source []string `json:"source"`
	Date   string   `json:"date"`
	Notes  []string `json:"notes"`

	tls      *tls.Config
	vars     map[string]string
	send     *request
	answers  answers
	auth     *auth
	receipts *receipts
	batch    *batch   // nil: one device in a request
	check    *request // nil: there is nothing to ask
}

// load reads credentials, compiles what is in them and reports every fault at
// once.
func load(credentials []byte) (*config, error) {
	var c config
	if err := providers.Decode(credentials, &c); err != nil {
		return nil, err
	}
	var faults providers.Faults
	unknown(&faults, "", credentials, reflect.TypeFor[config]())
	c.vars = c.Vars
	comp := &compiler{faults: &faults, vars: c.vars, access: c.Auth != nil}
	for _, key := range slices.Sorted(maps.Keys(c.Vars)) {
		v := c.Vars[key]
		if v == "" || strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">") {
			faults.Add("vars."+key, "is missing")
		}
	}
	endpoint(&faults, "endpoint", c.Endpoint, c.AllowPrivate)
	var err error
	if c.tls, err = providers.TLS(c.CA); err != nil {
		faults.Add("ca", "holds no certificate in PEM")
	}
	if c.LimitBytes < 0 {
		faults.Add("limit_bytes", "must not be negative")
	}
	comp.many, comp.uses = c.Batch != nil, map[string]bool{}
	c.send = comp.request("", c.Endpoint, &c.requestConfig)
	if c.Batch != nil {
		c.batch = comp.batch(c.Batch, comp.uses)
	}
	comp.many, comp.uses = false, nil
	if c.Check != nil {
		c.check = comp.check(c.Check, c.Endpoint, c.send.sign)
	}
	c.answers = comp.answers(&c.answerConfig, c.Auth != nil)
	comp.access = false
	if c.Auth != nil {
		c.auth = comp.auth(c.Auth, c.Endpoint, c.AllowPrivate)
	}
	if c.Receipts != nil {
		c.receipts = comp.receipts(c.Receipts)
	}
	slices.SortStableFunc(faults, func(a, b push.Fault) int { return strings.Compare(a.Field, b.Field) })
	return &c, faults.Err()
}

// check compiles a request that asks whether the service takes the credentials.
// It is signed as messages are unless it says otherwise.
func (c *compiler) check(rc *requestConfig, endpoint string, usual *signer) *request {
	r := c.request("check.", endpoint, rc)
	if r.sign == nil && usual != nil {
		r.sign = usual
		if usual.place == inBody && r.body == nil {
			c.faults.Add("check.body", "is missing, and the signature goes into it")
		}
	}
	return r
}

func (c *compiler) auth(ac *authConfig, main string, private bool) *auth {
	if ac.Endpoint != "" {
		endpoint(c.faults, "auth.endpoint", ac.Endpoint, private)
		main = ac.Endpoint
	}
	if ac.Lifetime < 0 {
		c.faults.Add("auth.lifetime_seconds", "must not be negative")
	}
	a := &auth{request: c.request("auth.", main, &ac.requestConfig), lifetime: lifetime}
	c.faults.Require("auth.token", ac.Token)
	a.token = c.path("auth.token", ac.Token)
	if ac.Expires != "" {
		a.expires = c.path("auth.expires", ac.Expires)
	}
	if ac.Lifetime > 0 {
		a.lifetime = time.Duration(ac.Lifetime) * time.Second
	}
	return a
}

// secrets are the texts that must be in no error.
func (c *config) secrets() []string {
	out := slices.Collect(maps.Values(c.vars))
	for _, s := range []*signer{c.send.sign, c.receipts.signer()} {
		if s != nil {
			out = append(out, s.secret)
		}
	}
	return out
}

// unknown notes the fields of an object that mean nothing, for a misspelt one
// would be passed over in silence. Objects whose keys are the app's own, and
// the body, are not looked into.
func unknown(faults *providers.Faults, prefix string, object []byte, t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		unknown(faults, prefix, object, t.Elem())
		return
	case reflect.Slice:
		var list []json.RawMessage
		if t.Elem().Kind() == reflect.Struct && json.Unmarshal(object, &list) == nil {
			for i, one := range list {
				unknown(faults, fmt.Sprintf("%s[%d]", strings.TrimSuffix(prefix, "."), i)+".", one, t.Elem())
			}
		}
		return
	case reflect.Struct:
	default:
		return
	}
	var given map[string]json.RawMessage
	if json.NewDecoder(bytes.NewReader(object)).Decode(&given) != nil {
		return
	}
	fields := fieldsOf(t)
	for _, key := range slices.Sorted(maps.Keys(given)) {
		inner, ok := fields[key]
		if !ok {
			faults.Add(fmt.Sprintf("%s%.40s", prefix, key), "is no field of the configuration")
			continue
		}
		unknown(faults, prefix+key+".", given[key], inner)
	}
}

// fieldsOf are the JSON names of a struct and of those inside it.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for f := range t.Fields() {
		if f.Anonymous {
			maps.Copy(out, fieldsOf(f.Type))
		} else if tag := f.Tag.Get("json"); tag != "" {
			out[tag] = f.Type
		}
	}
	return out
}
