package whatsapp

import (
	"errors"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/messaging"
)

// onReceipt records what became of messages that we sent.
func (c *channel) onReceipt(e *events.Receipt) bool {
	status, tells := statusOf(e.Type)
	if !tells || e.IsFromMe {
		return true
	}
	ids := plainAll(e.MessageIDs)
	found, rest := c.recent.find(ids)
	if len(rest) > 0 {
		older, ok := c.lookUpMessages(rest)
		if !ok {
			return false
		}
		for waID, id := range older {
			found[waID] = id
		}
	}
	records := make([]messaging.Record, 0, len(found))
	for _, waID := range ids {
		if id, ours := found[waID]; ours {
			records = append(records, messaging.StatusChange{
				WorkspaceID: c.facts.WorkspaceID, Environment: c.facts.Environment,
				MessageID: id, Status: status, At: e.Timestamp.UTC(),
			})
		}
	}
	return len(records) == 0 || c.record(c.ctx, records...)
}

// statusOf reads the type of a receipt; false for those that are between
// devices, or that a phone does not show to its owner.
func statusOf(t types.ReceiptType) (messaging.Status, bool) {
	switch t {
	case types.ReceiptTypeDelivered:
		return messaging.StatusDelivered, true
	case types.ReceiptTypeRead:
		return messaging.StatusRead, true
	case types.ReceiptTypePlayed:
		return messaging.StatusPlayed, true
	case types.ReceiptTypeSender, types.ReceiptTypeRetry, types.ReceiptTypeReadSelf, types.ReceiptTypePlayedSelf,
		types.ReceiptTypeServerError, types.ReceiptTypeInactive, types.ReceiptTypePeerMsg, types.ReceiptTypeHistorySync:
	}
	return "", false
}

// lookUpMessages finds messages that were sent a while ago, or by an earlier
// process. False: the channel closed before the database answered.
func (c *channel) lookUpMessages(waIDs []string) (found map[string]string, ok bool) {
	ok = c.findOut("messages of receipts", func() (err error) {
		found, err = c.driver.o.Index.MessagesByWAID(c.ctx, c.facts.WorkspaceID, c.facts.Environment, c.facts.ID, waIDs)
		return err
	})
	return found, ok
}

// findOut asks the database until it answers; false: the channel closed before.
// What cannot be asked for is not there.
func (c *channel) findOut(what string, ask func() error) bool {
	for failures := 0; ; failures++ {
		err := ask()
		if err == nil || errors.Is(err, messaging.ErrUnrecordable) {
			return true
		}
		if c.ctx.Err() != nil {
			return false
		}
		c.log.Error("not found out; trying again", "what", what, "error", err)
		if !c.pause(c.ctx, backoff(failures, firstRecordDelay, lastRecordDelay)) {
			return false
		}
	}
}
