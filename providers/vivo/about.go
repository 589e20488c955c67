package vivo

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "vivo Push",
		Payload: fmt.Sprintf("title %d, text %d half widths, data %d bytes", maxTitle, maxText, maxData), Batch: maxBatch, Kept: "1 day",
		Replaces: "notifyId", Proof: "vivo's receipt, of single sends",
		Can:            providers.All(providers.Replacing, providers.TTL, providers.Channel, providers.ClickAction, providers.BadgeCount, providers.Sound, providers.Batches, providers.Receipt, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
