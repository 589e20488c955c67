// Package fcm hands deliveries to Firebase Cloud Messaging, HTTP v1, with the
// service account of an app.
package fcm

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// name is the provider's registry name.
const name = "fcm"

//go:embed codes.json
var codesJSON []byte

// maxConns bounds the connections to Google, which allows about a hundred
// requests under way on each.
const maxConns = 32

// Provider sends over HTTP/2 connections of its own.
type Provider struct {
	client    *messaging.Client
	tokens    *providers.Tokens
	codes     *providers.Codes
	transport providers.Transport
}

// New opens a provider from an app's credentials. It is a [providers.Opener].
// It does not touch the network.
func New(credentials []byte) (providers.Provider, error) {
	return open(credentials, providers.OwnEngine)
}

// Opener is New with another engine.
func Opener(e providers.Engine) providers.Opener {
	return func(credentials []byte) (providers.Provider, error) { return open(credentials, e) }
}

func open(credentials []byte, e providers.Engine) (providers.Provider, error) {
	c, err := parse(credentials)
	if err != nil {
		return nil, err
	}
	codes, err := providers.ParseCodes(codesJSON)
	if err != nil {
		return nil, err
	}
	transport := e.Transport(c.tls, maxConns)
	once := &once{wire: providers.ExchangeTransport{Base: transport}}

	ctx := context.Background() // the SDK keeps no hold of it when it is given a client
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: c.project},
		option.WithEndpoint(c.base()), option.WithHTTPClient(&http.Client{Transport: once}))
	if err != nil {
		return nil, fmt.Errorf("fcm: %w", err)
	}
	client, err := app.Messaging(ctx)
	if err != nil {
		return nil, fmt.Errorf("fcm: %w", err)
	}
	g := &grant{oauth: c.oauth, client: &http.Client{Transport: transport}}
	return &Provider{
		client:    client,
		tokens:    &providers.Tokens{Provider: name, Fetch: g.fetch},
		codes:     codes,
		transport: transport,
	}, nil
}

// Deduplicates implements [providers.Deduplicator]:
// the tag replaces the first on the device.
func (p *Provider) Deduplicates() bool { return true }

// Send implements [providers.Provider].
func (p *Provider) Send(ctx context.Context, d *push.Delivery) (push.Answer, error) {
	w, o, err := weigh(d)
	if err != nil {
		return push.Answer{}, err
	}
	if d.Address.Token == "" {
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrUnreachable, Detail: "the device has no token"}
	}
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return push.Answer{}, err
	}
	a := &attempt{token: token}
	x := &a.exchange
	id, sendErr := p.client.Send(a.in(ctx), message(d, o))
	switch {
	case !x.Tried() && ctx.Err() == nil: // the SDK checks a message before it sends it
		return push.Answer{}, &push.Error{Provider: name, Kind: push.ErrRejected, Detail: "the message cannot be sent", Err: sendErr}
	case !x.Answered():
		return push.Answer{}, x.Failure(name, sendErr)
	case x.Status/100 == 2 && sendErr == nil:
		return push.Answer{ID: id, Stage: push.Accepted, Bytes: w.Bytes}, nil
	case x.Status/100 == 2:
		return push.Answer{}, x.NotTheirs(name)
	default:
		return push.Answer{}, p.refusal(a)
	}
}

// ShareTokens implements [providers.TokenSharer].
func (p *Provider) ShareTokens(s providers.TokenStore, key string) { p.tokens.Share(s, key) }

// CloseIdleConnections lets go of connections that nothing is under way on.
func (p *Provider) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// refusal sorts Google's answer.
func (p *Provider) refusal(a *attempt) error {
	x := &a.exchange
	var answer struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				ErrorCode  string `json:"errorCode"`
				Violations []struct {
					Field string `json:"field"`
				} `json:"fieldViolations"`
				Quotas []quotaViolation `json:"violations"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(x.Body, &answer) != nil || answer.Error.Status == "" {
		return x.NotTheirs(name)
	}
	word := answer.Error.Status // canonical, unless FCM has a word of its own
	badToken, field, ofDevice := false, "", false
	for _, d := range answer.Error.Details {
		if d.ErrorCode != "" {
			word = d.ErrorCode
		}
		for _, v := range d.Violations {
			badToken = badToken || v.Field == "message.token"
			if field == "" && isFieldName(v.Field) {
				field = v.Field
			}
		}
		ofDevice = ofDevice || slices.ContainsFunc(d.Quotas, quotaViolation.isDevices)
	}
	if word == "QUOTA_EXCEEDED" && ofDevice {
		word = "DEVICE_QUOTA_EXCEEDED"
	}
	if word == "INVALID_ARGUMENT" && badToken {
		word = "INVALID_TOKEN"
	}
	e := p.codes.Refusal(name, x, word, "")
	if errors.Is(e.Kind, push.ErrRejected) && field != "" {
		e.Detail += ": " + field
	}
	if x.Status == http.StatusUnauthorized && errors.Is(e.Kind, push.ErrUnavailable) && p.tokens.Refused(a.token) {
		e.Kind, e.Detail = push.ErrCredentials, "a new access token is refused"
	}
	return e
}

// quotaViolation is what Google says of the quota that was exceeded: the
// project's, or that of messages to one device.
type quotaViolation struct {
	Subject     string `json:"subject"`
	Description string `json:"description"`
}

// isDevices goes by the one word that tells them apart: Google documents that
// the quota is named, and not how.
func (v quotaViolation) isDevices() bool {
	return strings.Contains(strings.ToLower(v.Subject+" "+v.Description), "device")
}

// isFieldName knows a path of Google's own names, which tells nothing of a
// message's content.
func isFieldName(path string) bool {
	return strings.HasPrefix(path, "message.") && len(path) <= 80 && strings.Trim(path, "abcdefghijklmnopqrstuvwxyz_.") == "" &&
		!strings.HasPrefix(path, "message.data.")
}

// attempt is one request on its way through the SDK.
type attempt struct {
	exchange providers.Exchange
	token    string
}

type attemptKey struct{}

func (a *attempt) in(ctx context.Context) context.Context {
	return context.WithValue(providers.WithExchange(ctx, &a.exchange), attemptKey{}, a)
}

// once is what the SDK takes for the network. The SDK tries again by itself
// after a network error and a 503, so it is told of neither: it sees the answer
// if the message was taken and else a plain 400, while the attempt's exchange
// keeps what really came.
type once struct{ wire providers.ExchangeTransport }

// RoundTrip implements [http.RoundTripper].
func (o *once) RoundTrip(req *http.Request) (*http.Response, error) {
	if a, ok := req.Context().Value(attemptKey{}).(*attempt); ok {
		req.Header.Set("Authorization", "Bearer "+a.token) // the SDK made this request for us alone
	}
	res, err := o.wire.RoundTrip(req)
	if err == nil && res.StatusCode/100 == 2 {
		return res, nil
	}
	return &http.Response{
		StatusCode: http.StatusBadRequest, Status: "400 Bad Request", Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(nil)),
	}, nil
}

// isReserved reports whether FCM forbids a key of data.
func isReserved(key string) bool {
	return key == "from" || key == "message_type" || strings.HasPrefix(key, "google") || strings.HasPrefix(key, "gcm")
}
