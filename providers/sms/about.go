package sms

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "text messages by HTTP, as Twilio's",
		Payload: fmt.Sprintf("%d UTF-16 units", maxUnits), Batch: 1, Kept: "10 hours",
		Replaces: "–", Proof: "the service's callback",
		Can:            providers.All(providers.TTL, providers.Receipt, providers.DeadTokens, providers.Cost, providers.Test),
		CheckOverrides: CheckOverrides,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
