package store

import "time"

// While bulks are accepted and sent, their writes must not keep anybody waiting
// who hands in a message. Then, and only then:
//
//   - a transaction takes all messages that are handed in, and of the rest no more
//     than about two milliseconds' worth, in the order in which it came; where a
//     transaction of nothing takes longer than that, as much as takes as long;
//   - behind such a transaction comes one with messages alone, if any wait, so
//     that each waits for the rest at most once;
//   - what says many things that stand for themselves is taken apart.
//
// At other times transactions are as large as they come: that is cheaper.

const (
	// bulkMoment is how long behind the last write of a bulk these rules hold.
	bulkMoment = time.Second
	// workTarget is how long the rest may take in a transaction.
	workTarget = 2 * time.Millisecond
	// usualPace is how long what weighs one takes, as far as it has not been
	// measured: a change of status on SQLite. usualSpread is how far weights must
	// lie apart for measurements to count for more.
	usualPace   = 30 * time.Microsecond
	usualSpread = 10
	// slowest bounds what one measurement can say.
	slowest = 100 * time.Millisecond
	// The bounds of what a transaction takes of the rest, whatever was measured.
	leastRoom, mostRoom = 32, 512
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

	timing timing
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

// took takes notice of how long a transaction has taken.
func (c *committer) took(batch []*job, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.bulk.flows() {
		return
	}
	weight := 0
	for _, j := range batch {
		weight += j.weight
	}
	c.bulk.timing.learn(weight, d)
}

// timing is the straight line through how long the last transactions took by
// their weights: means of the last few, of microseconds.
type timing struct {
	known                         bool
	weight, took, square, product float64
}

// learn takes in one measurement.
func (t *timing) learn(weight int, d time.Duration) {
	x, y := float64(weight), float64(min(d, slowest).Microseconds())
	part := 1.0 / 16
	if !t.known {
		t.known, part = true, 1
	}
	t.weight += (x - t.weight) * part
	t.took += (y - t.took) * part
	t.square += (x*x - t.square) * part
	t.product += (x*y - t.product) * part
}

// line returns how long what weighs one takes, and a transaction of nothing.
func (t *timing) line() (pace, nothing float64) {
	const usual, spread = float64(usualPace / time.Microsecond), usualSpread * usualSpread
	pace = (t.product - t.weight*t.took + usual*spread) / (t.square - t.weight*t.weight + spread)
	pace = max(pace, 1)
	return pace, t.took - pace*t.weight
}

// room is how much of the rest a transaction takes.
func (t *timing) room() int {
	pace, nothing := t.line()
	room := max(float64(workTarget/time.Microsecond), nothing) / pace
	return int(min(max(room, leastRoom), mostRoom))
}

// takeSparingly takes a batch that nobody waits for long. c.mu is held.
func (c *committer) takeSparingly() []*job {
	room := c.bulk.timing.room()
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
