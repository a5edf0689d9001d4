package store

import "time"

// While bulks are accepted and sent, their writes must not keep anybody waiting
// who hands in a message. Then, and only then:
//
//   - a transaction takes all messages that are handed in, and of the rest no more
//     than a few milliseconds' worth, in the order in which it came;
//   - behind such a transaction comes one with messages alone, if any wait, so
//     that each waits for the rest at most once;
//   - what says many things that stand for themselves is taken apart.
//
// At other times transactions are as large as they come: that is cheaper.

const (
	// bulkMoment is how long behind the last write of a bulk these rules hold.
	bulkMoment = time.Second
	// backgroundWeight is how much of the rest a transaction takes. One is about
	// the time that a change of status takes: 20 microseconds on SQLite.
	backgroundWeight = 64
	// partWeight is the size of the parts of what is taken apart.
	partWeight = 32

	turnWeight   = 2 // of each row of a turn
	createWeight = 16
	// chunkUnit is how many bytes of a chunk weigh one.
	chunkUnit = 2 << 10
)

func chunkWeight(size int) int { return 1 + size/chunkUnit }

// bulkWork is what the committer knows of the writes of bulks. Its lock guards
// it.
type bulkWork struct {
	until time.Time // until when writes of bulks count as going on
	laden bool      // the last transaction had something of the rest
}

// note takes notice of jobs that were handed in.
func (w *bulkWork) note(jobs []*job) {
	for _, j := range jobs {
		switch j.station { //nolint:exhaustive // the others are no work of bulks alone
		case stationStage, stationCreate, stationRetry, stationTurn:
			w.until = time.Now().Add(bulkMoment)
			return
		}
	}
}

// flows reports whether writes of bulks are going on.
func (w *bulkWork) flows() bool { return !w.until.IsZero() && time.Now().Before(w.until) }

// takeSparingly takes a batch that nobody waits for long. c.mu is held.
func (c *committer) takeSparingly() []*job {
	room := backgroundWeight
	if c.bulk.laden && c.acceptsWait() {
		room = 0
	}
	batch := make([]*job, 0, min(len(c.pending), maxBatch))
	kept := c.pending[:0]
	c.bulk.laden = false
	for _, j := range c.pending {
		switch {
		case len(batch) == maxBatch:
			kept = append(kept, j)
		case j.station == stationAccept:
			batch = append(batch, j)
		case room > 0 && (j.weight <= room || !c.bulk.laden):
			batch = append(batch, j)
			room -= j.weight
			c.bulk.laden = true
		default:
			kept = append(kept, j)
			room = 0 // what comes behind it must not pass it
		}
	}
	clear(c.pending[len(kept):])
	c.pending = kept
	return batch
}

func (c *committer) acceptsWait() bool {
	for _, j := range c.pending {
		if j.station == stationAccept {
			return true
		}
	}
	return false
}

// parts makes jobs of n things that stand for themselves: one job, or, while
// writes of bulks are going on, several that follow each other.
func (c *committer) parts(n int, divisible bool, part func(from, to int) *job) []*job {
	if n <= partWeight || !divisible || !c.bulkFlows() {
		return []*job{part(0, n)}
	}
	jobs := make([]*job, 0, n/partWeight+1)
	for from := 0; from < n; from += partWeight {
		jobs = append(jobs, part(from, min(from+partWeight, n)))
	}
	return jobs
}

func (c *committer) bulkFlows() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bulk.flows()
}
