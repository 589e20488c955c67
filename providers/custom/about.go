package custom

import (
	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Name: name, Service: "any other service, by configuration",
		Payload: "as configured", Batch: mostTogether, Kept: "as the service does",
		Replaces: "as configured", Proof: "its callback, where it has one",
		Can: providers.All(
			// as far as its configuration writes them into the body
			providers.Replacing, providers.TTL, providers.Urgency, providers.Channel, providers.ClickAction, providers.BadgeCount, providers.Sound, providers.Image,
			providers.Receipt, providers.DeadTokens, providers.Batches, providers.Test),
	}
}
