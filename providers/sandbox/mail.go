package sandbox

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPending   = 50_000 // letters that wait; more are lost and counted
	mailCarriers = 8
)

// letter is one status callback, or a receipt that is handed over in the
// vendor's own way, which also counts it.
type letter struct {
	hand          func()
	to, signature string
	form          url.Values
	counts        *counts
}

// mail posts status callbacks, late.
type mail struct {
	log     *slog.Logger
	client  *http.Client
	pending atomic.Int64
	out     chan []letter
}

func newMail(log *slog.Logger) *mail {
	return &mail{log: log, client: &http.Client{Timeout: 5 * time.Second}, out: make(chan []letter, maxPending)}
}

// post sends the letters of one message in order once the time has come. Each
// may get lost as the settings say.
func (m *mail) post(after time.Duration, s *Settings, letters []letter) {
	kept := letters[:0]
	for _, l := range letters {
		if happens(s.ReceiptLoss) {
			l.counts.callbacksLost.Add(1)
			continue
		}
		kept = append(kept, l)
	}
	if len(kept) == 0 {
		return
	}
	if m.pending.Add(1) > maxPending {
		m.pending.Add(-1)
		kept[0].counts.callbacksLost.Add(int64(len(kept)))
		return
	}
	if after <= 0 {
		m.out <- kept // has room for every pending one
		return
	}
	time.AfterFunc(after, func() { m.out <- kept })
}

// run carries letters until ctx ends; what waits then is thrown away.
func (m *mail) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range mailCarriers {
		wg.Go(func() {
			for {
				select {
				case letters := <-m.out:
					m.pending.Add(-1)
					for _, l := range letters {
						m.deliver(ctx, l)
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
	m.client.CloseIdleConnections()
}

func (m *mail) deliver(ctx context.Context, l letter) {
	if l.hand != nil {
		l.hand()
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.to, strings.NewReader(l.form.Encode()))
	if err != nil {
		l.counts.callbacksFailed.Add(1)
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", l.signature)
	res, err := m.client.Do(req)
	if err != nil {
		l.counts.callbacksFailed.Add(1)
		m.log.DebugContext(ctx, "status callback was not taken", "err", err)
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		l.counts.callbacksFailed.Add(1)
		m.log.DebugContext(ctx, "status callback was refused", "status", res.StatusCode)
		return
	}
	l.counts.callbacks.Add(1)
}
