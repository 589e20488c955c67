package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/herald-push/herald/client"
)

// connect keeps a device on the live connection. People walk through tunnels:
// now and then it is away for a while, and what it missed comes another way or
// when it is back.
func (f *Fleet) connect(ctx context.Context, d *device) {
	for ctx.Err() == nil {
		if err := f.stay(ctx, d, between(20*time.Second, 5*time.Minute)); err != nil && ctx.Err() == nil {
			f.log.DebugContext(ctx, "demo: live connection", "device", d.ID, "err", err)
		}
		pause(ctx, between(2*time.Second, 30*time.Second))
	}
}

// stay connects and listens for some time, or until the connection ends.
func (f *Fleet) stay(ctx context.Context, d *device, spell time.Duration) error {
	token, err := f.tokenOf(ctx, d)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.cfg.MQTT)
	if err != nil {
		return err
	}
	defer conn.Close()
	var link *paho.Client
	link = paho.NewClient(paho.ClientConfig{
		ClientID: d.ID,
		Conn:     conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) {
				f.heard(ctx, link, p.Packet.Payload)
				return true, nil
			},
		},
		OnClientError: func(error) {}, // Done tells the end
	})
	ack, err := link.Connect(ctx, &paho.Connect{
		ClientID: d.ID, CleanStart: true, KeepAlive: 60,
		Username: d.ID, UsernameFlag: true, Password: []byte(token), PasswordFlag: true,
	})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if ack.ReasonCode != 0 {
		return fmt.Errorf("connect: refused with reason %d", ack.ReasonCode)
	}
	end := time.NewTimer(spell)
	defer end.Stop()
	select {
	case <-link.Done():
		return nil
	case <-end.C:
	case <-ctx.Done():
	}
	return link.Disconnect(&paho.Disconnect{})
}

// heard is a message on the live connection; its acknowledgement is the proof
// of delivery, and what the person does is published.
func (f *Fleet) heard(ctx context.Context, link *paho.Client, payload []byte) {
	var m struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(payload, &m); err != nil || m.ID == "" {
		return
	}
	f.look(func() {
		f.react(ctx, func(event client.Stage) bool {
			report, err := json.Marshal(map[string]any{"id": m.ID, "event": event, "at": time.Now().UTC()})
			if err != nil {
				return false
			}
			publishing, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err = link.Publish(publishing, &paho.Publish{Topic: "receipts", QoS: 1, Payload: report})
			return err == nil
		})
	})
}
