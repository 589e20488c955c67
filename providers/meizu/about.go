package meizu

import (
	"fmt"

	"github.com/herald-push/herald/providers"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Codes: codesJSON,
		Name:  name, Service: "Meizu Push, of Flyme",
		Payload: fmt.Sprintf("title %d, text %d characters; unseen %d", maxTitle, maxText, maxUnseen), Batch: maxBatch, Kept: "3 days",
		Replaces: "notifyKey", Proof: "Meizu's receipt, of what is shown",
		Can: providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.ClickAction, providers.Sound,
			providers.Batches, providers.Receipt, providers.DeadTokens, providers.Test),
		CheckOverrides: CheckOverrides, Unseen: providers.SaysDataOnly,
	}
}

// Codes implements [providers.Coded].
func (p *Provider) Codes() *providers.Codes { return p.codes }
