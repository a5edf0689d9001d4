package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portaria/messaging"
)

// The delays between two tries to record something.
const (
	firstRecordDelay = 100 * time.Millisecond
	lastRecordDelay  = 5 * time.Second
)

// told is what life has last recorded of the instance.
type told struct {
	state  messaging.InstanceState
	reason string
	until  time.Time
	name   string
	done   bool // the ask that the channel was opened for
}

// asked returns what InstanceChange.Done is to be: the time of the ask that the
// channel was opened for, or none when there was none.
func (c *channel) asked() time.Time {
	if c.facts.Ask == messaging.AskNothing {
		return time.Time{}
	}
	return c.facts.AskedAt
}

// done records that nothing is left of the ask, if there was one.
func (c *channel) done(ctx context.Context) {
	if c.facts.Ask != messaging.AskNothing {
		c.tell(ctx, messaging.InstanceChange{State: c.told.state, Reason: c.told.reason, Until: c.told.until, Done: c.asked()})
	}
}

// tell records a change of the instance, unless it says nothing new. It is
// life's alone.
func (c *channel) tell(ctx context.Context, change messaging.InstanceChange) {
	news := change.State != c.told.state || change.Reason != c.told.reason || !change.Until.Equal(c.told.until) ||
		change.Linked != nil || (!change.Done.IsZero() && !c.told.done)
	if !news {
		return
	}
	change.WorkspaceID, change.Environment, change.InstanceID = c.facts.WorkspaceID, c.facts.Environment, c.facts.ID
	change.At = c.now()
	if !c.record(ctx, change) {
		return
	}
	c.told.state, c.told.reason, c.told.until = change.State, change.Reason, change.Until
	c.told.done = c.told.done || !change.Done.IsZero()
	if change.Linked != nil {
		c.told.name = change.Linked.PushName
	}
}

// record reports until what it reports is durable, or until the journal says
// that it never will be; false: the channel closed before.
func (c *channel) record(ctx context.Context, records ...messaging.Record) bool {
	for i := range records {
		records[i] = plainRecord(records[i])
	}
	for failures := 0; ; failures++ {
		err := c.driver.o.Reporter.Report(ctx, records...)
		if err == nil {
			return true
		}
		if errors.Is(err, messaging.ErrUnrecordable) {
			return c.recordEach(ctx, records, err)
		}
		if ctx.Err() != nil {
			return false
		}
		c.log.Error("not recorded; trying again", "records", len(records), "error", err)
		if !c.pause(ctx, backoff(failures, firstRecordDelay, lastRecordDelay)) {
			return false
		}
	}
}

// recordEach records what can be of records that were refused together. What
// cannot is given up: if it were left with WhatsApp, it would come again with
// every connection, before all that was sent since.
func (c *channel) recordEach(ctx context.Context, records []messaging.Record, refusal error) bool {
	if len(records) == 1 {
		c.log.Error("given up what cannot be recorded", "record", fmt.Sprintf("%T", records[0]), "error", refusal)
		return true
	}
	for _, one := range records {
		if !c.record(ctx, one) {
			return false
		}
	}
	return true
}
