package huawei

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Huawei Push Kit",
		Payload: fmt.Sprintf("%d bytes", maxPayload), Batch: maxBatch, Kept: "15 days",
		Replaces: "tag, notify_id", Proof: "Huawei's receipt",
		Can:            providers.But(providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.Urgency, providers.Channel, providers.ClickAction, providers.BadgeCount, providers.Sound, providers.Image, providers.Batches, providers.Receipt, providers.DeadTokens, providers.Test), providers.Localised, providers.LiveActivity),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
