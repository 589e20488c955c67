package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/herald-push/herald/client"
)

// ErrNotConnected is why something was not sent that is of no use later.
var ErrNotConnected = errors.New("live: not connected")

// Report tells where the device is, or was within the last day, and returns once
// Herald has acknowledged it. Positions that Herald refuses, for want of the
// person's consent say, are told to OnFault as a [*Refusal]. While there is no
// connection it is [ErrNotConnected]: keep them, and report them together.
func (d *Device) Report(ctx context.Context, ps ...client.Position) error {
	payload, err := json.Marshal(map[string][]client.Position{"positions": ps})
	if err != nil {
		return fmt.Errorf("live: report: %w", err)
	}
	d.mu.Lock()
	line := d.line
	d.mu.Unlock()
	if line == nil || !line.ready.Load() {
		return ErrNotConnected
	}
	acked := make(chan struct{})
	line.publish("positions", payload, func() { close(acked) })
	select {
	case <-acked:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("live: report: %w", ctx.Err())
	}
}
