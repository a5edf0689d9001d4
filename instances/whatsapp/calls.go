package whatsapp

import (
	"context"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/messaging"
)

// call is an offer of a call, in whichever form it came.
type call struct {
	types.BasicCallMeta
	video, group bool
}

func offered(e *events.CallOffer) call {
	o := call{BasicCallMeta: e.BasicCallMeta, group: !e.GroupJID.IsEmpty()}
	if e.Data != nil {
		_, o.video = e.Data.GetOptionalChildByTag("video")
	}
	return o
}

func noticed(e *events.CallOfferNotice) call {
	return call{e.BasicCallMeta, e.Media == "video", e.Type == "group" || !e.GroupJID.IsEmpty()}
}

// onCall records a call. It is rejected first when the owner wants it so: a
// phone rings meanwhile.
func (c *channel) onCall(offer call) bool {
	l := c.link.Load()
	if l == nil || offer.CallID == "" {
		return true
	}
	from := offer.CallCreator
	if from.IsEmpty() {
		from = offer.From
	}
	record := messaging.CallReceived{
		WorkspaceID: c.facts.WorkspaceID, Environment: c.facts.Environment, InstanceID: c.facts.ID,
		Call: messaging.Call{
			ID: offer.CallID, From: c.addressOf(l, from, offer.CallCreatorAlt), Video: offer.video, Group: offer.group,
			At: offer.Timestamp.UTC(),
		},
	}
	if c.settings().RejectCalls {
		record.Call.Rejected = c.reject(l, from, offer.CallID)
	}
	return c.record(c.ctx, record)
}

func (c *channel) reject(l *link, from types.JID, id string) bool {
	ctx, cancel := context.WithTimeout(c.ctx, c.timing.Lookup)
	defer cancel()
	if err := l.client.RejectCall(ctx, from, id); err != nil {
		c.log.Warn("call not rejected", "error", err)
		return false
	}
	return true
}
