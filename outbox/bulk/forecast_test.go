package bulk

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"portaria/outbox/pace"
)

// played sends message after message as a lane would, and returns when the last
// one goes.
func played(t *rapid.T, senders []*slow, n int, start time.Time) (last time.Time) {
	for range n {
		var first *slow
		var at time.Time
		for _, s := range senders {
			for ; s.before > 0; s.before-- {
				next := s.next(start, s.own)
				s.send(next, s.own)
			}
			if next := s.next(start, append(s.own[:len(s.own):len(s.own)], s.bulk...)); first == nil || next.Before(at) {
				first, at = s, next
			}
		}
		first.send(at, append(first.own[:len(first.own):len(first.own)], first.bulk...))
		last = pace.Later(last, at)
	}
	return last
}

// slow is a sender that is played.
type slow struct {
	own, bulk []limit
	before    int
	at        time.Time
}

func (s *slow) next(start time.Time, limits []limit) time.Time {
	at := pace.Later(start, s.at)
	for {
		next := at
		for i := range limits {
			next, _ = limits[i].rules.Turn(limits[i].book, next)
		}
		if next.Equal(at) {
			return at
		}
		at = next
	}
}

func (s *slow) send(at time.Time, limits []limit) {
	for i := range limits {
		limits[i].book.Settle(at)
		limits[i].book.Add(at, 1)
	}
	s.at = at
}

func drawRules(t *rapid.T, name string) pace.Rules {
	r := pace.Rules{
		MinGap:  time.Duration(rapid.SampledFrom([]int{1, 20, 90}).Draw(t, name+" gap")) * time.Second,
		PerHour: rapid.SampledFrom([]int{0, 3, 17, 60}).Draw(t, name+" per hour"),
		PerDay:  rapid.SampledFrom([]int{0, 50, 200}).Draw(t, name+" per day"),
		WarmUp:  rapid.Bool().Draw(t, name+" warm-up"),
	}
	if rapid.Bool().Draw(t, name+" is quiet at times") {
		r.Quiet = &pace.QuietHours{From: rapid.IntRange(0, 1439).Draw(t, name+" from"), Zone: time.UTC}
		r.Quiet.To = (r.Quiet.From + rapid.SampledFrom([]int{30, 600}).Draw(t, name+" quiet minutes")) % 1440
	}
	return r
}

// quietTime is how long the quiet hours of rules last.
func quietTime(r *pace.Rules) time.Duration {
	if r.Quiet == nil {
		return 0
	}
	return time.Duration((r.Quiet.To-r.Quiet.From+1440)%1440) * time.Minute
}

// What people are told must be what happens, whatever the paces: a forecast is as
// late as sending message after message would be, within a tenth. A minute more or
// less can decide whether quiet hours come before the last message: those of the bulk and of an
// instance, once.
func TestAForecastIsHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
		f := &forecast{start: start, left: int64(rapid.IntRange(1, 400).Draw(t, "messages"))}
		var all []*slow
		mine := drawRules(t, "the bulk")
		mine.PerDay, mine.WarmUp = 0, false
		var quiet time.Duration // of the instances
		for range rapid.IntRange(1, 3).Draw(t, "instances") {
			rules := drawRules(t, "an instance")
			quiet = max(quiet, quietTime(&rules))
			empty := func() *pace.Ledger { return pace.NewLedger(nil, time.Time{}) }
			own, gap := limited(&rules, empty(), start)
			bulk, bulkGap := limited(&mine, empty(), start)
			before := rapid.IntRange(0, 30).Draw(t, "others")
			f.senders = append(f.senders, &sender{own: []limit{own}, bulk: []limit{bulk}, gap: max(gap, bulkGap), before: int64(before)})
			all = append(all, &slow{own: []limit{{rules: rules, book: empty()}}, bulk: []limit{{rules: mine, book: empty()}}, before: before})
		}
		n := int(f.left)
		got := f.run()
		want := played(t, all, n, start)
		if off, most := got.Sub(want).Abs(), want.Sub(start)/10+2*time.Hour+quietTime(&mine)+quiet; off > most {
			t.Errorf("forecast %s, it takes %s", got.Sub(start), want.Sub(start))
		}
	})
}

// A bulk that takes years is told in a moment.
func TestAForecastOfYearsIsQuick(t *testing.T) {
	rules := pace.Rules{PerHour: 1, PerDay: 3}
	start := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	own, gap := limited(&rules, pace.NewLedger(nil, time.Time{}), start)
	f := &forecast{start: start, left: 100_000, senders: []*sender{{own: []limit{own}, gap: max(gap, time.Second)}}}
	began := time.Now()
	got := f.run().Sub(start)
	if want := 100_000 / 3 * pace.Day; (got - want).Abs() > want/20 {
		t.Errorf("100,000 messages at 3 a day take %s, want about %s", got, want)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the forecast took %s", took)
	}
}
