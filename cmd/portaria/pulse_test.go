package main

import (
	"context"
	"testing"
)

// Rooms that hand on work in silence are never found idle while one of them has it,
// whenever it passes from one to the next.
func TestWorkThatIsHandedOnInSilenceIsWaitedFor(t *testing.T) {
	const count = 3
	for begins := range count {
		for moves := range 2 * count { // before which glance it is handed on for the first time
			has, glances := begins, 0 // count: the work is done
			var rooms []room
			for i := range count {
				rooms = append(rooms, func(ctx context.Context, _ string) error {
					if glances == moves {
						has++
					}
					glances++
					if has == i && ctx.Err() == nil {
						has++ // it was waited for
					}
					if has == i {
						return ctx.Err()
					}
					return nil
				})
			}
			if err := allIdle(t.Context(), "", rooms, func() int64 { return 0 }); err != nil || has < count {
				t.Errorf("begun in room %d, handed on before glance %d: room %d has it, error %v", begins, moves, has, err)
			}
		}
	}
}
