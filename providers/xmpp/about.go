package xmpp

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "an XMPP server, as its component",
		Payload: fmt.Sprintf("%d bytes", maxStanza), Batch: 1, Kept: "as the server does",
		Replaces: "–", Proof: "the device's receipt (XEP-0184)",
		Can:            providers.All(providers.DataOnly, providers.TTL, providers.Receipt, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
