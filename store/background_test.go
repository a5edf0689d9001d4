package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// usualRoom is how much of the rest a transaction takes before anything was
// measured.
var usualRoom = new(timing).room()

// waiting is a committer that does not run, with jobs that wait.
func waiting(jobs ...*job) *committer {
	c := &committer{want: 1, wake: make(chan struct{}, 1)}
	c.pending = jobs
	c.bulk.until = time.Now().Add(time.Hour)
	return c
}

// work makes jobs with serial numbers, which their payloads are.
func work(of station, weight int, numbers ...int) (jobs []*job) {
	for _, n := range numbers {
		jobs = append(jobs, &job{station: of, weight: weight, payload: n})
	}
	return jobs
}

func numbers(batch []*job) (out []int) {
	for _, j := range batch {
		out = append(out, j.payload.(int))
	}
	return out
}

func TestWhileBulksAreSentATransactionIsShort(t *testing.T) {
	half := usualRoom / 2
	for name, c := range map[string]struct {
		jobs []*job
		want [][]int // batch after batch
	}{
		"as much as weighs enough": {work(stationRecord, half, 1, 2, 3, 4, 5), [][]int{{1, 2}, {3, 4}, {5}}},
		"at least one":             {work(stationRecord, 10*usualRoom, 1, 2), [][]int{{1}, {2}}},
		"none passes another": {
			append(append(work(stationTurn, half+1, 1), work(stationTurn, half, 2)...), work(stationRecord, 1, 3)...), [][]int{{1}, {2, 3}},
		},
		"all messages first": {
			append(work(stationTurn, usualRoom, 1, 2), work(stationAccept, 1, 8, 9)...), [][]int{{1, 8, 9}, {2}},
		},
	} {
		committer := waiting(c.jobs...)
		var got [][]int
		for {
			batch := committer.take()
			if len(batch) == 0 {
				break
			}
			got = append(got, numbers(batch))
		}
		if diff := cmp.Diff(got, c.want); diff != "" {
			t.Errorf("%s: batches, want:\n%s", name, diff)
		}
	}
}

// A message that is handed in while the rest is being written is in the very next
// transaction, and that one is short.
func TestAMessageWaitsForTheRestAtMostOnce(t *testing.T) {
	c := waiting(work(stationTurn, usualRoom, 1, 2, 3)...)
	var got [][]int
	for n := range 3 {
		got = append(got, numbers(c.take()))
		c.pending = append(c.pending, work(stationAccept, 1, 10+n)...)
	}
	got = append(got, numbers(c.take()), numbers(c.take()))
	if diff := cmp.Diff(got, [][]int{{1}, {10}, {2, 11}, {12}, {3}}); diff != "" {
		t.Errorf("batches, want:\n%s", diff)
	}
}

// However jobs come and whatever they weigh: none is lost or passes one of its
// own kind, messages are never left waiting, and the rest is not forgotten.
func TestEveryJobIsTakenInItsOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := waiting()
		last := make(map[bool]int) // by whether it is a message
		next, idle := 1, 0
		for step := 0; step < 30 || len(c.pending) > 0; step++ {
			for range rapid.IntRange(0, 6).Draw(r, "come") {
				if step < 30 {
					of := rapid.SampledFrom([]station{stationAccept, stationRecord, stationTurn, stationCarry}).Draw(r, "station")
					c.pending = append(c.pending, work(of, rapid.IntRange(1, 2*usualRoom).Draw(r, "weight"), next)...)
					next++
				}
			}
			rest, weight, taken := 0, 0, c.take()
			for _, j := range taken {
				message := j.station == stationAccept
				if n := j.payload.(int); n <= last[message] {
					r.Fatalf("job %d behind %d", n, last[message])
				}
				last[message] = j.payload.(int)
				if !message {
					rest++
					weight += j.weight
				}
			}
			if c.acceptsWait() || rest > 1 && weight > usualRoom {
				r.Fatalf("messages wait behind a batch of %d jobs that weigh %d", rest, weight)
			}
			if idle++; rest > 0 || len(c.pending) == 0 {
				idle = 0
			}
			if idle > 1 {
				r.Fatal("the rest was passed over twice")
			}
		}
	})
}

// Slow machines and slow disks are no reason to keep anybody waiting, or to make
// ten commits where one would do.
func TestTheRoomOfATransactionFollowsWhatItTakes(t *testing.T) {
	for name, c := range map[string]struct {
		pace, nothing time.Duration
		weights       []int // of the transactions that were measured, in turn
		want          int
	}{
		"as usual":                 {20 * time.Microsecond, 300 * time.Microsecond, []int{1, 64}, 100},
		"a slow machine":           {100 * time.Microsecond, 500 * time.Microsecond, []int{1, 32}, leastRoom},
		"a fast machine":           {time.Microsecond, 100 * time.Microsecond, []int{1, 512}, mostRoom},
		"a slow disk":              {20 * time.Microsecond, 5 * time.Millisecond, []int{1, 64}, 250},
		"a very slow disk":         {20 * time.Microsecond, 80 * time.Millisecond, []int{1, 64}, mostRoom},
		"nobody hands in anything": {usualPace, time.Millisecond, []int{64}, usualRoom},
		"not measured":             {0, 0, nil, usualRoom},
	} {
		m := new(timing)
		for range 100 {
			for _, weight := range c.weights {
				m.learn(weight, c.nothing+time.Duration(weight)*c.pace)
			}
		}
		if got := m.room(); got < c.want*9/10 || got > c.want*11/10 {
			t.Errorf("%s: room for %d, want %d", name, got, c.want)
		}
	}
}

// Where nothing of a bulk goes on, nothing is held back or taken apart.
func TestWithoutBulksABatchIsAllThatWaits(t *testing.T) {
	c := waiting(append(work(stationRecord, 10*usualRoom, 1, 2, 3), work(stationAccept, 1, 4)...)...)
	c.bulk.until = time.Time{}
	if got := numbers(c.take()); !cmp.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("the batch is %v, want all", got)
	}
	part := func(from, to int) *job { return &job{payload: to - from} }
	if got := numbers(c.parts(1000, true, part)); !cmp.Equal(got, []int{1000}) {
		t.Errorf("parts of %v, want one", got)
	}
	c.bulk.note(work(stationAccept, 1, 1))
	if c.bulk.flows() {
		t.Error("a message counts as work of a bulk")
	}
	c.bulk.note(work(stationTurn, 1, 1))
	if !c.bulk.flows() {
		t.Error("a turn does not count as work of a bulk")
	}
	for _, p := range []struct {
		n         int
		divisible bool
		want      []int
	}{
		{partWeight, true, []int{partWeight}},
		{2*partWeight + 1, true, []int{partWeight, partWeight, 1}},
		{2 * partWeight, false, []int{2 * partWeight}},
		{0, true, []int{0}},
	} {
		if diff := cmp.Diff(numbers(c.parts(p.n, p.divisible, part)), p.want); diff != "" {
			t.Errorf("parts of %d, want:\n%s", p.n, diff)
		}
	}
}
