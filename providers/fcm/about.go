package fcm

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Firebase Cloud Messaging, HTTP v1",
		Payload: fmt.Sprintf("%d bytes", maxPayload), Batch: 1, Kept: "28 days",
		Replaces: "tag, apns-collapse-id", Proof: "the app's report",
		Can:            providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.Urgency, providers.Channel, providers.ClickAction, providers.BadgeCount, providers.Sound, providers.Image, providers.Localised, providers.LiveActivity, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
