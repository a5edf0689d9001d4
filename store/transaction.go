package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// try applies a batch in one transaction. A nil error means committed; jobs
// may still carry errors of their own. errInDoubt means that it may be.
func (c *committer) try(batch []*job) (err error) {
	c.store.writing.Lock()
	defer c.store.writing.Unlock()
	ctx := context.Background()
	begun := time.Now()
	for _, j := range batch {
		j.err = nil // of an earlier try
	}
	if err := c.conn.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w: %w", errCutOff, explain(err))
	}
	c.tried, err = c.apply(ctx, batch)
	if err != nil {
		err = explain(err)
		if isConnectionFault(err) {
			c.conn.close()
			return fmt.Errorf("%w: %w", errCutOff, err)
		}
		return errors.Join(err, c.conn.rollback(ctx))
	}
	if err := c.conn.commit(ctx); err != nil {
		if err = explain(err); isRefusal(err) {
			return fmt.Errorf("commit: %w", err)
		}
		return fmt.Errorf("%w: %w", errInDoubt, ErrDatabaseUnreachable.Because(err))
	}
	c.took(batch, time.Since(begun))
	c.committed()
	return nil
}

// committed tells what the batch that was tried last has changed. s.writing is
// held.
func (c *committer) committed() {
	c.store.commits.Add(1)
	c.store.learnHeads(c.tried.events)
	for i := range c.conn.left {
		c.store.states.learn(&c.conn.left[i])
	}
	c.store.tell(c.tried)
}

// writer is the second half of a station's work, when the events of the whole
// transaction have their sequences.
type writer func(ctx context.Context) error

// apply runs every station over its jobs: what they must read and decide, then
// the numbers of all events, then what they write.
func (c *committer) apply(ctx context.Context, batch []*job) (*eventLog, error) {
	var byStation [stations][]*job
	for _, j := range batch {
		byStation[j.station] = append(byStation[j.station], j)
	}
	t := &transaction{b: c.conn, events: new(eventLog), bulks: newBulkBook(c.conn)}
	t.wantBulks(batch)
	var writers []writer
	for st, jobs := range byStation {
		if len(jobs) == 0 {
			continue
		}
		write, err := t.applyStation(ctx, station(st), jobs)
		if err != nil {
			return nil, err
		}
		if write != nil {
			writers = append(writers, write)
		}
	}
	if err := t.bulks.close(t.events); err != nil {
		return nil, err
	}
	if err := t.events.number(ctx, c.conn); err != nil {
		return nil, err
	}
	for _, write := range append(writers, t.bulks.write) {
		if err := write(ctx); err != nil {
			return nil, err
		}
	}
	return t.events, t.events.write(ctx, c.conn)
}

// transaction is what the stations share.
type transaction struct {
	b      *batchConn
	events *eventLog
	bulks  *bulkBook
}

// wantBulks notes the bulks that jobs name, so that all are read in one order.
func (t *transaction) wantBulks(batch []*job) {
	for _, j := range batch {
		switch p := j.payload.(type) {
		case *turning:
			t.bulks.want(p.Bulk.ID)
		case *retry:
			t.bulks.want(p.bulk.ID)
		}
	}
}

func (t *transaction) applyStation(ctx context.Context, st station, jobs []*job) (writer, error) {
	switch st {
	case stationAccept:
		return applyAcceptances(ctx, t.b, jobs, t.events)
	case stationStage:
		return nil, applyStagings(ctx, t.b, jobs)
	case stationCreate:
		return nil, applyCreations(ctx, t.b, jobs, t.bulks)
	case stationRecord:
		return applyRecords(ctx, t.b, jobs, t.bulks, t.events)
	case stationRetry:
		return nil, applyRetries(ctx, t.b, jobs, t.bulks)
	case stationTurn:
		return applyTurns(ctx, t.b, jobs, t.bulks, t.events)
	case stationCarry:
		return nil, applyCarriages(ctx, t.b, jobs)
	case stationSettle:
		return nil, applySettlements(ctx, t.b, jobs)
	case stationLog:
		return nil, applyLogs(ctx, t.b, jobs)
	case stationAttempt:
		return nil, applyAttempts(ctx, t.b, jobs)
	case stationSink:
		return nil, applySinkMoves(ctx, t.b, jobs)
	case stations:
	}
	return nil, fmt.Errorf("no station %d", st)
}
