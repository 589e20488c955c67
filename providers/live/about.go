package live

import (
	"fmt"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// About declares what the provider makes of its service.
func About() providers.About {
	return providers.About{
		Name: push.Live, Service: "the devices' own connection, MQTT",
		Payload: fmt.Sprintf("%d bytes", Limit), Batch: 1, Kept: "in the inbox, until its end",
		Replaces: "collapse key", Proof: "the device's PUBACK",
		Can: providers.All(providers.DataOnly, providers.Replacing, providers.TTL, providers.Receipt),
	}
}
