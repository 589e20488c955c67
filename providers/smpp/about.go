package smpp

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "text messages by SMPP 3.4",
		Payload: fmt.Sprintf("%d octets, 10 times", segmentOctets), Batch: 1, Kept: "30 days",
		Replaces: "–", Proof: "the service's delivery receipt",
		Can:            providers.All(providers.TTL, providers.Receipt, providers.DeadTokens, providers.Cost, providers.Test),
		CheckOverrides: CheckOverrides,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
