package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/herald-push/herald/providers/sandbox"
)

// sandboxCmd plays the vendors for a Herald that runs elsewhere.
type sandboxCmd struct {
	Host    string `default:"127.0.0.1" help:"Where to listen. Its keys are no secret to whoever reaches it."`
	Control int    `default:"8089" help:"Port of the control API; 0 takes any."`
	APNs    int    `name:"apns" help:"Port of APNs. Default: any free one."`
	FCM     int    `name:"fcm" help:"Port of FCM. Default: any free one."`
	SMS     int    `name:"sms" help:"Port of the SMS service. Default: any free one."`
	Dir     string `type:"path" help:"Folder that keeps keys and ports, so that credentials outlive a restart."`
}

func (s *sandboxCmd) Run(ctx context.Context, std streams) error {
	box, err := sandbox.New(sandbox.Config{
		Host: s.Host, Dir: s.Dir, Log: slog.New(slog.NewTextHandler(std.err, nil)),
		Ports: map[string]int{"control": s.Control, "apns": s.APNs, "fcm": s.FCM, "sms": s.SMS},
	})
	if err != nil {
		return err
	}
	for _, vendor := range sandbox.Vendors {
		fmt.Fprintf(std.out, "%-8s %s\n", vendor, box.URL(vendor))
	}
	fmt.Fprintf(std.out, "%-8s %s\n\ncredentials for an app: curl %s/control/credentials/apns\n",
		"control", box.ControlURL(), box.ControlURL())
	return box.Run(ctx)
}
