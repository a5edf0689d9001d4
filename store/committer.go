package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"portaria/internal/fault"
)

// maxBatch bounds how many jobs share one transaction, and so how long a
// caller's commit can take.
const maxBatch = 1024

// station names the part of a transaction that a job belongs to. Stations are
// applied in this order.
type station int

const (
	stationAccept station = iota
	stationStage
	stationCreate
	stationRecord
	stationRetry
	stationTurn // behind the records: a bulk that was paused among them turns no more
	stationCarry
	stationSettle
	stationLog
	stationAttempt
	stationSink
	stations
)

// job is one caller's write, waiting to share a transaction with others.
type job struct {
	station station
	payload any    // what the station's apply function expects
	weight  int    // about how long it takes; see background.go
	after   func() // called in the order of the jobs, after the commit and before the caller is answered
	err     error  // set by apply: this job fails, the others go on
	done    chan struct{}
}

// committer is the group committer: one goroutine that takes all jobs that
// wait, applies them in one transaction, commits once, and answers every
// caller. While it commits, the next batch gathers.
//
// A batch that fails is tried again job by job, so that one bad row fails
// alone. A job is answered only when its rows are durable.
type committer struct {
	store *Store
	conn  *batchConn
	tried *eventLog // of the batch that was tried last

	mu      sync.Mutex
	pending []*job
	spare   []*job
	want    int // wake when so many wait
	stopped bool
	bulk    bulkWork

	wake chan struct{} // holds one token when there is work
	quit chan struct{}
	idle chan struct{} // closed when run has returned
}

func newCommitter(s *Store) *committer {
	c := &committer{
		store: s,
		conn:  &batchConn{store: s, session: s.engine.session},
		tried: new(eventLog),
		want:  1,
		wake:  make(chan struct{}, 1),
		quit:  make(chan struct{}),
		idle:  make(chan struct{}),
	}
	go c.run()
	return c
}

// maxPending bounds the jobs that wait while the database does not keep up.
const maxPending = 1 << 16

// submit hands in jobs and waits until all are durable; of several errors, the
// first job's is returned. When the caller's context ends first, the caller is
// told UNAVAILABLE, but the jobs go on: they may be in a transaction already, and
// if they commit, after is called all the same.
func (c *committer) submit(ctx context.Context, jobs ...*job) error {
	for _, j := range jobs {
		j.done = make(chan struct{})
	}
	if err := c.queue(jobs); err != nil {
		return err
	}
	var failed error
	for _, j := range jobs {
		select {
		case <-j.done:
			if failed == nil {
				failed = j.err
			}
		case <-ctx.Done():
			return ErrDatabaseBusy.Because(ctx.Err())
		}
	}
	return failed
}

func (c *committer) queue(jobs []*job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return fault.ErrShuttingDown
	}
	if len(c.pending)+len(jobs) > maxPending {
		return ErrDatabaseBusy
	}
	c.pending = append(c.pending, jobs...)
	c.bulk.note(jobs)
	if len(c.pending) < c.want {
		return nil
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// stop refuses further jobs, finishes those in hand and ends the goroutine.
func (c *committer) stop() {
	c.mu.Lock()
	stopped := c.stopped
	c.stopped = true
	c.mu.Unlock()
	if !stopped {
		close(c.quit)
	}
	<-c.idle
}

func (c *committer) run() {
	defer close(c.idle)
	defer c.conn.close()
	for {
		select {
		case <-c.wake:
			c.drain()
		case <-c.quit:
			c.drain()
			return
		}
	}
}

// drain commits batch after batch until nothing waits.
func (c *committer) drain() {
	for last := 0; ; {
		c.gather(last)
		batch := c.take()
		if len(batch) == 0 {
			return
		}
		c.commit(batch)
		for i, j := range batch {
			if j.err == nil && j.after != nil {
				j.after()
			}
			close(j.done)
			batch[i] = nil
		}
		last = len(batch)
	}
}

// gather waits a moment for callers that were just answered to come back, so
// that they share the next transaction, which has a price of its own. While one
// half of the callers is served, the other half is committed. It waits only after
// a batch of some size, and not while bulks flow: their writes would be waited for.
func (c *committer) gather(last int) {
	if last < gatherFrom {
		return
	}
	c.mu.Lock()
	target := (last + len(c.pending)) / 2
	if len(c.pending) >= target || c.stopped || c.bulk.flows() {
		c.mu.Unlock()
		return
	}
	c.want = target
	c.mu.Unlock()
	select {
	case <-c.wake: // a token from before: it says nothing about the target
	default:
	}
	enough := time.NewTimer(c.store.engine.gather)
	defer enough.Stop()
	select {
	case <-c.wake:
	case <-enough.C:
	}
	c.mu.Lock()
	c.want = 1
	c.mu.Unlock()
}

// gatherFrom is the size of a batch after which gathering pays.
const gatherFrom = 8

func (c *committer) take() []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bulk.flows() {
		return c.takeSparingly()
	}
	if len(c.pending) <= maxBatch {
		batch := c.pending
		c.pending, c.spare = c.spare[:0], batch
		return batch
	}
	batch := append([]*job(nil), c.pending[:maxBatch]...)
	c.pending = append(c.pending[:0], c.pending[maxBatch:]...)
	return batch
}

// commit makes a batch durable, or sets the error of the jobs that failed.
func (c *committer) commit(batch []*job) {
	defer func() { c.conn.wary = false }()
	err := c.attempt(batch)
	if err == nil {
		return
	}
	inDoubt := errors.Is(err, errInDoubt)
	if inDoubt && c.resolve(len(batch)) {
		return
	}
	if len(batch) == 1 && !inDoubt {
		batch[0].err = err
		return
	}
	c.store.log.Warn("group commit failed, trying its writes one by one", "writes", len(batch), "error", err)
	for i := range batch {
		one := batch[i : i+1]
		err := c.attempt(one)
		if errors.Is(err, errInDoubt) && c.resolve(1) {
			continue
		}
		if err != nil {
			batch[i].err = err
		}
	}
}

// attempt tries a batch. If that fails, nothing that was remembered counts any
// more, and nothing is taken for new unseen. It is tried once more when that was
// why: another writer has taken numbers of events, or has changed a message, or a
// row was there before; or when the connection was broken, and nothing that was
// said on it has happened.
func (c *committer) attempt(batch []*job) error {
	err := c.try(batch)
	if err == nil {
		return nil
	}
	c.store.forget()
	c.conn.wary = true
	if isUnique(err) || errors.Is(err, errMoved) || errors.Is(err, errCutOff) {
		return c.try(batch)
	}
	return err
}

var (
	// errInDoubt is the error of a commit that was not answered: it may have
	// happened, or may still.
	errInDoubt = errors.New("the commit was not answered")
	// errCutOff is the error of a connection that broke before the commit was
	// asked for: nothing has happened.
	errCutOff = errors.New("the connection was lost")
)

// resolve finds out whether the batch that was tried last, and whose commit was
// not answered, is durable: by its first event, once the database works on it
// no more. It asks until the database answers: no other write could go on
// meanwhile either. A batch without events can simply be repeated.
func (c *committer) resolve(writes int) (durable bool) {
	if len(c.tried.events) == 0 {
		return false
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		durable, err := c.store.happened(c.conn.last, &c.tried.events[0])
		if err == nil {
			c.store.log.Warn("the answer to a commit was lost", "writes", writes, "durable", durable)
			if durable {
				c.store.writing.Lock()
				c.committed()
				c.store.writing.Unlock()
			}
			return durable
		}
		select {
		case <-time.After(wait):
		case <-c.quit:
			return false // the next process reads what is durable
		}
	}
}
