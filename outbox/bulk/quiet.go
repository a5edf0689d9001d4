package bulk

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
)

// keepQuiet reports whether it is quiet now. What waits in lanes when that begins
// is held until it ends.
func (r *run) keepQuiet(ctx context.Context) (quiet bool, err error) {
	if r.quiet == nil {
		return false, nil
	}
	r.mu.Lock()
	now := r.now()
	quiet = r.quiet.Holds(now)
	end := r.quiet.End(now)
	told := r.heldUntil.Equal(end)
	if quiet {
		r.callAt(end)
	} else {
		r.callAtNightfall(now)
	}
	r.mu.Unlock()
	if !quiet || told {
		return quiet, nil
	}
	if err := r.amend(ctx, r.amendment(messaging.StatusHeld, end)); err != nil {
		return true, fmt.Errorf("quiet hours: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heldUntil = end
	return true, nil
}

// callAtNightfall has the clock call when quiet hours begin. No mode of a clock
// skips that: what is skipped is waiting, and this ends work. r.mu is held.
func (r *run) callAtNightfall(now time.Time) {
	if r.nightfall.forget != nil || len(r.feeds) == 0 {
		return
	}
	begin := r.quiet.Begin(now)
	if begin.IsZero() {
		return
	}
	r.nightfall = alarm{at: begin, forget: r.clock.Deadline(begin, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.nightfall = alarm{}
		r.dirty = true
		r.start()
	})}
}
