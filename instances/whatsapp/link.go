package whatsapp

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// link is the session of a linked phone and the client that speaks for it. The
// client lives through many connections.
type link struct {
	client *whatsmeow.Client
	keeper *keeper
	jid    types.JID // the phone's number and our device number
	lid    types.JID
	name   string // the push name as it was stored
}

// recall returns the link that the instance is known by; nil when there is none
// any more.
func (c *channel) recall(ctx context.Context, linkedID string) (*link, error) {
	device, err := c.driver.o.Sessions.find(ctx, linkedID)
	if err != nil || device == nil {
		return nil, err
	}
	k := watch(device, c.driver.o.Sessions.scribe)
	client := c.newClient(device)
	client.AddEventHandlerWithSuccessStatus(c.handle)
	l := &link{client: client, keeper: k, jid: device.GetJID(), lid: device.GetLID(), name: device.PushName}
	if l.jid.IsEmpty() {
		return nil, fmt.Errorf("session %s has no number", linkedID)
	}
	return l, nil
}

// newClient makes a client that leaves to us when it connects, and that
// acknowledges a stanza when its handler has succeeded.
func (c *channel) newClient(device *store.Device) *whatsmeow.Client {
	client := whatsmeow.NewClient(device, clientLog{c.log})
	client.EnableAutoReconnect = false
	client.DisableLoginAutoReconnect = true
	client.SynchronousAck = true
	client.EnableDecryptedEventBuffer = true
	client.UseRetryMessageStore = true
	client.ManualHistorySyncDownload = true // history is not ours to read
	client.BackgroundEventCtx = c.ctx
	client.SetMaxParallelRetryReceiptHandling(1)
	route(client, c.transport)
	return client
}
