package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Accept checks every row of a draft and stores the bulk, whole or not at all.
// When it returns nil the bulk survives any crash.
//
// Faults: fault.ErrValidation with the rows that cannot be sent (unless they are
// skipped), for too many rows or none, and for a template that cannot be;
// ErrRowsTooLarge; what Rows, Pay and ClaimFor return; what the store answers to a claim that another
// request won; fault.ErrShuttingDown.
func (s *Service) Accept(ctx context.Context, d Draft) (messaging.Bulk, error) {
	c, err := newChecker(&d, s.refuses)
	if err != nil {
		return messaging.Bulk{}, err
	}
	file, err := newChunkFile(s.dir)
	if err != nil {
		return messaging.Bulk{}, err
	}
	defer func() {
		if err := file.close(); err != nil {
			s.log.Warn("the rows of a bulk were left on the disk", "error", err)
		}
	}()
	if err := c.run(ctx, func(j *judged) error { return file.add(j.stored.Number, j.encoded) }); err != nil {
		return messaging.Bulk{}, err
	}
	if err := errors.Join(file.flush(), c.verdict()); err != nil {
		return messaging.Bulk{}, err
	}
	if d.Pay != nil {
		if err := d.Pay(int(c.valid)); err != nil {
			return messaging.Bulk{}, err
		}
	}
	b := s.bulk(&d, c)
	return b, s.keep(ctx, &d, b, file)
}

// verdict is the fault that refuses the bulk, once all rows are judged.
func (c *checker) verdict() error {
	switch {
	case c.invalid > 0 && !c.draft.Options.SkipInvalid:
		return c.refusal()
	case c.valid == 0 && c.invalid > 0:
		return c.refusal() // nobody is left to send to
	}
	return nil
}

// bulk makes the bulk that a draft asks for.
func (s *Service) bulk(d *Draft, c *checker) messaging.Bulk {
	world := messaging.World{WorkspaceID: d.Tenancy.Workspace(), Environment: d.Tenancy.Environment()}
	now := s.clocks(world).Now().Truncate(time.Microsecond)
	b := messaging.Bulk{
		ID: s.ids.Next(messaging.BulkPrefix, time.Now()), WorkspaceID: world.WorkspaceID, Environment: world.Environment,
		Name: d.Name, InstanceIDs: make([]string, len(d.Instances)), KeyID: d.KeyID, Lineage: d.Lineage, State: messaging.BulkRunning,
		Counts:  messaging.BulkCounts{Total: c.total, Queued: c.valid, Skipped: c.invalid + c.duplicates},
		Pending: c.valid, Next: 1, Template: d.Content, Metadata: d.Metadata, Options: d.Options, CreatedAt: now,
	}
	for i := range d.Instances {
		b.InstanceIDs[i] = d.Instances[i].ID
	}
	slices.Sort(b.InstanceIDs)
	b.Options.SendAt = b.Options.SendAt.UTC().Truncate(time.Microsecond)
	if b.Options.SendAt.After(now) {
		b.State = messaging.BulkScheduled
	} else {
		b.StartedAt = now
	}
	return b
}

// keep stages the rows and makes the bulk real. What was staged of one that is
// not made real goes again; if the process ends first, it is swept by the next.
func (s *Service) keep(ctx context.Context, d *Draft, b messaging.Bulk, file *chunkFile) error {
	if s.ctx.Err() != nil {
		return fault.ErrShuttingDown
	}
	var claim *messaging.Claim
	if d.ClaimFor != nil {
		var err error
		if claim, err = d.ClaimFor(b); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
	}
	err := file.stage(ctx, s.store, b.ID)
	if err == nil {
		// From here on nobody may go away: whoever did would leave it open whether
		// the bulk exists, and with it whose its rows are.
		err = s.store.CreateBulk(context.WithoutCancel(ctx), b, claim, func() { s.begin(b) })
	}
	if err != nil {
		if gone := s.store.DropBulk(context.WithoutCancel(ctx), b.ID); gone != nil {
			s.log.Warn("the rows of a bulk that was not accepted are left for the next start to sweep", "bulk", b.ID, "error", gone)
		}
		return err
	}
	return nil
}
