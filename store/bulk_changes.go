package store

import (
	"portaria/messaging"
)

// change moves a bulk to another state, if it still can be. An impossible change
// is no news.
func (k *bulkBook) change(c messaging.BulkChange) {
	o := k.of(c.WorkspaceID, c.Environment, c.BulkID)
	if o == nil {
		return
	}
	c.At = clip(c.At)
	switch c.State { //nolint:exhaustive // the others come about by themselves
	case messaging.BulkRunning:
		o.run(c)
	case messaging.BulkPaused:
		o.pause(c)
	case messaging.BulkCanceled:
		o.cancel(c)
	}
}

// run starts or resumes a bulk. One that was paused before its time had come
// goes on waiting for it.
func (o *openBulk) run(c messaging.BulkChange) {
	switch messaging.BulkState(o.row.State) { //nolint:exhaustive // the others run, or have ended
	case messaging.BulkScheduled:
		o.start(c)
	case messaging.BulkPaused:
		o.row.PausedAt = 0
		if o.row.StartedAt == 0 && o.row.SendAt > micros(c.At) {
			o.row.State = string(messaging.BulkScheduled)
			o.tell(messaging.EventBulkResumed, c.At)
			return
		}
		o.row.State = string(messaging.BulkRunning)
		o.tell(messaging.EventBulkResumed, c.At)
		if o.row.StartedAt == 0 {
			o.start(c)
		}
	}
}

func (o *openBulk) start(c messaging.BulkChange) {
	o.row.State, o.row.StartedAt = string(messaging.BulkRunning), micros(c.At)
	o.tell(messaging.EventBulkStarted, c.At)
}

func (o *openBulk) pause(c messaging.BulkChange) {
	if s := messaging.BulkState(o.row.State); s != messaging.BulkRunning && s != messaging.BulkScheduled {
		return
	}
	o.row.State, o.row.PausedAt = string(messaging.BulkPaused), micros(c.At)
	o.tell(messaging.EventBulkPaused, c.At)
}

// cancel ends a bulk. The rows that are no message yet are canceled with it;
// what became messages is for whoever holds them.
func (o *openBulk) cancel(c messaging.BulkChange) {
	if messaging.BulkState(o.row.State).Ended() {
		return
	}
	o.row.State, o.row.PausedAt, o.row.EndedAt = string(messaging.BulkCanceled), 0, micros(c.At)
	o.row.Queued -= o.row.Pending
	o.row.Canceled += o.row.Pending
	o.row.Pending = 0
	o.tell(messaging.EventBulkCanceled, c.At)
}
