package main

import (
	"context"
	"errors"
	"fmt"

	"portaria/instances"
)

// cancelOrphans cancels what waits for instances that were deleted while no
// server ran: their lanes are in the outbox, but no manager knows them, and
// their messages would wait for a channel until they expire.
func (a *app) cancelOrphans(ctx context.Context) error {
	lanes, err := a.store.Lanes(ctx)
	if err != nil {
		return fmt.Errorf("lanes: %w", err)
	}
	for _, lane := range lanes {
		_, err := a.store.FindInstance(ctx, lane.WorkspaceID, lane.Environment, lane.InstanceID)
		if !errors.Is(err, instances.ErrNotFound) {
			if err != nil {
				return fmt.Errorf("instance of a lane: %w", err)
			}
			continue
		}
		if err := a.outbox.Drain(ctx, lane); err != nil {
			return fmt.Errorf("cancel what waits for %s: %w", lane.InstanceID, err)
		}
	}
	return nil
}
