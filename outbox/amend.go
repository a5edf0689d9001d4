package outbox

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
)

// Amendment says what is to become of messages that wait.
type Amendment struct {
	Messages []LaneMessages
	// Status is held, queued (they may go again, at once) or canceled.
	Status messaging.Status
	Due    time.Time            // when held ones may go by themselves; zero: when they are amended again
	Error  *messaging.SendError // of held and canceled ones; nil: none
}

// LaneMessages are messages of one lane.
type LaneMessages struct {
	Lane LaneRef
	IDs  []string
}

// Amend takes messages that wait out of their lanes and records what they are
// from now on, in one commit together with other records. It returns the ids of
// those that it took. The others are in the hands of their channel, or of a
// network that owes an acknowledgement, or have ended: those that the channel
// gives back, because it could not take them, become what the amendment says
// as well; nothing is done about the rest. Ids that it does not know do no harm.
//
// Held ones block their recipient like any message that waits. When Amend returns
// an error, nothing has changed.
func (d *Dispatcher) Amend(ctx context.Context, a Amendment, also ...messaging.Record) (amended []string, err error) {
	drawn := make([]*drawing, 0, len(a.Messages))
	var records []messaging.Record
	for _, m := range a.Messages {
		w := d.lane(m.Lane).draw(m.IDs, &a)
		drawn = append(drawn, w)
		records = w.records(records, &a)
	}
	// Nobody may go away meanwhile: whoever did would leave it open what the
	// messages are.
	if records = append(records, also...); len(records) > 0 {
		err = d.reporter.Report(context.WithoutCancel(ctx), records...)
	}
	if err != nil {
		for _, w := range drawn {
			w.undo()
		}
		return nil, fmt.Errorf("amend: %w", err)
	}
	for _, w := range drawn {
		amended = append(amended, w.ids()...)
		w.finish(d.ctx, &a)
	}
	return amended, nil
}

// records appends the records of what was drawn.
func (d *drawing) records(to []messaging.Record, a *Amendment) []messaging.Record {
	now := d.lane.clock.Now()
	for i := range d.taken {
		to = append(to, d.lane.change(d.taken[i].id, a.recall().change(now)))
	}
	return to
}

// recall is what is wanted of a message that is in hand, should it come back.
type recall struct {
	status messaging.Status
	due    time.Time // of a held one; zero: at once
	err    *messaging.SendError
}

func (a *Amendment) recall() recall {
	r := recall{status: a.Status, due: a.Due, err: a.Error}
	if a.Status == messaging.StatusHeld && a.Due.IsZero() {
		r.due = farFuture
	}
	return r
}

// change is the record of what is wanted, but for whose it is.
func (r recall) change(at time.Time) messaging.StatusChange {
	return messaging.StatusChange{Status: r.status, At: at, Due: r.due, Error: r.err}
}
