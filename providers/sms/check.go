package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Check implements [providers.Checker]: it asks for the account's own record.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	var x providers.Exchange
	account := strings.TrimSuffix(p.messages, "/Messages.json") + ".json"
	req, err := http.NewRequestWithContext(providers.WithExchange(ctx, &x), http.MethodGet, account, http.NoBody)
	if err != nil {
		return "", rejected("", "the request cannot be made")
	}
	req.SetBasicAuth(p.config.Account, p.config.Secret)
	res, sendErr := p.client.Do(req)
	if sendErr == nil {
		_ = res.Body.Close() // the exchange has read it
	}
	var answer struct {
		SID    string      `json:"sid"`
		Status any         `json:"status"` // a word of the account, or the number of a refusal
		Code   json.Number `json:"code"`
	}
	switch {
	case !x.Answered():
		return "", x.Failure(name, sendErr)
	case json.Unmarshal(x.Body, &answer) != nil, x.Status/100 == 2 && answer.SID == "":
		return "", providers.Unexpected(name, &x)
	case x.Status/100 != 2:
		e := p.codes.Error(name, x.Status, answer.Code.String())
		e.Code = answer.Code.String()
		return "", e
	case answer.Status != nil && answer.Status != "active":
		return "", &push.Error{Provider: name, Kind: push.ErrCredentials, Detail: "the account is not active"}
	default:
		return "it knows the account", nil
	}
}
