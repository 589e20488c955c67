package apns

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Apple Push Notification service",
		Payload: fmt.Sprintf("%d bytes, VoIP %d", maxPayload, maxVoIP), Batch: 1, Kept: "30 days, the last one only",
		Replaces: "apns-collapse-id", Proof: "the app's report",
		Can:            providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.Urgency, providers.Channel, providers.BadgeCount, providers.Sound, providers.Localised, providers.LiveActivity, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides, Unseen: unseen,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
