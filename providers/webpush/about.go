package webpush

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "the browsers' push services, RFC 8030",
		Payload: fmt.Sprintf("%d bytes, encrypted", limit), Batch: 1, Kept: "28 days",
		Replaces: "Topic", Proof: "the app's report",
		Can:            providers.All(providers.Replacing, providers.TTL, providers.Urgency, providers.ClickAction, providers.Sound, providers.Image, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
