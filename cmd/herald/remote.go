package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/herald-push/herald/client"
)

// remoteFlags find a running Herald: by address and key, or by the data folder
// of a `herald dev` on this machine.
type remoteFlags struct {
	URL  string `env:"HERALD_URL" placeholder:"URL" help:"Address of the API. Default: that of the herald dev on --data."`
	Key  string `env:"HERALD_KEY" placeholder:"KEY" help:"API key. Default: that of the herald dev on --data."`
	Data string `default:"./data" type:"path" help:"Data folder of herald dev."`
}

func (r remoteFlags) open() (*client.Client, error) {
	if r.URL == "" || r.Key == "" {
		f, err := readFacts(r.Data)
		if err != nil {
			return nil, err
		}
		if r.URL == "" {
			r.URL = f.URL
		}
		if r.Key == "" {
			r.Key = f.APIKey
		}
	}
	return &client.Client{URL: r.URL, Key: r.Key}, nil
}

// explainError puts what may go wrong on the way to a Herald into words that
// help.
func (r remoteFlags) explainError(err error) error {
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusUnauthorized {
		return errors.New("the key is not known there; give one with --key or HERALD_KEY")
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("no Herald answers: %w; is it running? `herald dev` starts one", err)
	}
	return err
}
