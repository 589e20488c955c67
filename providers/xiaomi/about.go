package xiaomi

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Xiaomi MiPush",
		Payload: fmt.Sprintf("%d bytes; title %d, text %d characters", maxPayload, maxTitle, maxText), Batch: maxBatch, Kept: "14 days",
		Replaces: "notify_id", Proof: "Xiaomi's receipt",
		Can:            providers.But(providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.Channel, providers.ClickAction, providers.Sound, providers.Batches, providers.Receipt, providers.DeadTokens, providers.Test), providers.Image),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
