package honor

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Honor Push",
		Payload: fmt.Sprintf("%d bytes", maxPayload), Batch: maxBatch, Kept: "15 days",
		Replaces: "tag, notifyId", Proof: "Honor's receipt",
		Can:            providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.ClickAction, providers.BadgeCount, providers.Image, providers.Batches, providers.DeadTokens, providers.Urgency, providers.Test, providers.Receipt),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
