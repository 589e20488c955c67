package oppo

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "OPPO Push",
		Payload: fmt.Sprintf("title %d, text %d, data %d characters", maxTitle, maxText, maxData), Batch: maxBatch, Kept: "10 days",
		Replaces: "notify_id", Proof: "OPPO's receipt",
		Can:            providers.But(providers.All(providers.Replacing, providers.TTL, providers.Urgency, providers.Channel, providers.ClickAction, providers.Batches, providers.Receipt, providers.DeadTokens, providers.Test), providers.Image),
		CheckOverrides: CheckOverrides,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
