package bulk

import (
	"context"
	"slices"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

// never is the due time of what is held until it is amended again.
var never time.Time

// amend changes what messages that wait in lanes are to become, in one commit with
// other records.
func (r *run) amend(ctx context.Context, a outbox.Amendment, also ...messaging.Record) error {
	if len(a.Messages) == 0 && len(also) == 0 {
		return nil
	}
	_, err := r.s.outbox.Amend(ctx, a, also...)
	return err
}

// amendment is about everything of the bulk that waits in lanes.
func (r *run) amendment(to messaging.Status, due time.Time) outbox.Amendment {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := outbox.Amendment{Status: to, Due: due}
	if to == messaging.StatusCanceled {
		a.Error = &messaging.SendError{Code: "CANCELED", Message: "The bulk was canceled."}
	}
	a.Messages = r.inLanes(func(*feed, inLane) bool { return true })
	return a
}

// inLanes returns those of the messages in lanes that are wanted. r.mu is held.
func (r *run) inLanes(wanted func(*feed, inLane) bool) (out []outbox.LaneMessages) {
	for _, f := range r.feeds {
		var ids []string
		for id, m := range f.waiting {
			if wanted(f, m) {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			slices.Sort(ids)
			out = append(out, outbox.LaneMessages{Lane: r.lane(f), IDs: ids})
		}
	}
	return out
}

// callBack cancels what waits in lanes for those who have opted out. Whoever opts
// out before a turn is skipped by that.
func (r *run) callBack(ctx context.Context) error {
	r.mu.Lock()
	out := make(map[optOut]bool, len(r.optOuts))
	for _, o := range r.optOuts {
		out[o] = true
	}
	told := r.optOuts
	r.optOuts = nil
	a := outbox.Amendment{
		Status: messaging.StatusCanceled,
		Error:  &messaging.SendError{Code: "CANCELED", Message: "The recipient has opted out."},
	}
	if len(out) > 0 {
		a.Messages = r.inLanes(func(f *feed, m inLane) bool {
			return out[optOut{f.instance, m.person}] || out[optOut{"", m.person}]
		})
	}
	r.mu.Unlock()
	err := r.amend(ctx, a)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.optOuts = append(r.optOuts, told...)
	}
	return err
}
