package main

import (
	"context"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/store/storetest"
)

// Rooms are never found idle while one of them has work, whenever it passes from
// one to the next: in silence down their order, and up with a commit that is
// counted.
func TestWorkThatIsHandedOnIsWaitedFor(t *testing.T) {
	const count = 3
	for begins := range count {
		for moves := range 2 * count { // before which glance it is handed on for the first time
			for _, up := range []bool{false, true} {
				has, glances, commits := begins, 0, int64(0) // has: count when the work is done
				var rooms []room
				for i := range count {
					rooms = append(rooms, func(ctx context.Context, _ string) error {
						switch {
						case glances == moves && up && has < count:
							has, commits = 0, commits+1
						case glances == moves:
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
				if err := allIdle(t.Context(), "", rooms, func() int64 { return commits }); err != nil || has < count {
					t.Errorf("begun in room %d, handed on (up: %t) before glance %d: room %d has it, error %v", begins, up, moves, has, err)
				}
			}
		}
	}
}

// A change of an instance gives the manager work, also if it is no event.
func TestAChangeWithoutAnEventIsCounted(t *testing.T) {
	d, _, i := newFrozenDoor(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	before, events := d.app.pulse.of(d.workspace), lastEvent(t, d)
	if err := d.app.store.Report(t.Context(), messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, State: messaging.InstanceConnecting, At: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	if lastEvent(t, d) != events {
		t.Fatal("it is an event")
	}
	if d.app.pulse.of(d.workspace) == before {
		t.Error("it was not counted")
	}
}

func lastEvent(t *testing.T, d *realDoor) int64 {
	t.Helper()
	all, err := d.app.store.Events(t.Context(), testWorld(d.workspace), messaging.EventFilter{}, messaging.Page{Limit: 1})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	return all[0].Sequence
}
