package bulk

import (
	"time"

	"portaria/outbox/pace"
)

// forecast says when a number of messages will have gone, without sending any: it
// plays the paces of all senders through in strides, so that its effort grows with
// the time that sending takes, not with the messages.
type forecast struct {
	senders []*sender
	left    int64           // messages of the bulk that have no stride yet
	start   time.Time       // the time that it begins at
	first   time.Time       // when the first of them goes
	last    time.Time       // when the last one so far goes
	stop    <-chan struct{} // closed when nobody waits for it any more; nil: never
}

// sender is an instance in a forecast.
type sender struct {
	own    []limit // the instance's pace
	bulk   []limit // the bulk's pace and quiet hours
	gap    time.Duration
	before int64 // what waits in its lane and goes first
	at     time.Time
}

// limit is a pace without its gaps: caps and quiet hours, with what they count.
type limit struct {
	rules pace.Rules
	book  *pace.Ledger
	from  time.Time // when the gap behind the last message of the book ends
}

// strides is into how many parts an hour's cap is cut: what was sent together is
// counted at its last message, so larger parts would make a forecast late.
const strides = 8

// maxStrides bounds the effort. What is not reached by then is told from how far
// the forecast has come.
const maxStrides = 50_000

// limited returns the limits of rules from a time on, and the mean gap between two
// messages.
func limited(rules *pace.Rules, book *pace.Ledger, start time.Time) (limit, time.Duration) {
	l := limit{rules: *rules, book: book}
	book.Settle(start)
	gaps := pace.Rules{MinGap: rules.MinGap, Jitter: rules.Jitter}
	l.from, _ = gaps.Turn(book, start)
	gap := rules.MinGap + rules.Jitter/2
	l.rules.MinGap, l.rules.Jitter = 0, 0
	return l, gap
}

// run returns when the last message goes; zero without a sender, and when nobody
// waits for it any more.
func (f *forecast) run() time.Time {
	if len(f.senders) == 0 {
		return time.Time{}
	}
	for _, s := range f.senders {
		s.at = f.start
	}
	f.first, f.last = time.Time{}, f.start
	total := f.left
	for n := 0; f.left > 0; n++ {
		if n == maxStrides {
			done := max(1, total-f.left)
			return f.start.Add(time.Duration(float64(f.last.Sub(f.start)) * float64(total) / float64(done)))
		}
		select {
		case <-f.stop:
			return time.Time{}
		default:
			f.stride(f.earliest())
		}
	}
	return f.last
}

func (f *forecast) earliest() *sender {
	first := f.senders[0]
	for _, s := range f.senders {
		if s.at.Before(first.at) {
			first = s
		}
	}
	return first
}

// stride has a sender send as many messages as it may together, or wait.
func (f *forecast) stride(s *sender) {
	limits, left := s.own, &s.before
	if s.before == 0 {
		limits, left = append(s.own[:len(s.own):len(s.own)], s.bulk...), &f.left
	}
	at, room := s.turn(limits)
	if at.After(s.at) {
		s.at = at
		return
	}
	n := min(room, *left)
	last := at.Add(time.Duration(n-1) * s.gap)
	for _, l := range limits {
		l.book.Settle(last)
		l.book.Add(last, int(n))
	}
	*left -= n
	s.at = last.Add(s.gap)
	if left != &f.left {
		return
	}
	if f.first.IsZero() || at.Before(f.first) {
		f.first = at
	}
	f.last = pace.Later(f.last, last)
}

// turn returns when the next messages may go, s.at at the earliest, and how many
// may go one after the other from then on.
func (s *sender) turn(limits []limit) (at time.Time, room int64) {
	at, room = s.at, s.within(time.Hour)
	for i := range limits {
		l := &limits[i]
		next, n := l.rules.Turn(l.book, pace.Later(at, l.from))
		if next.After(at) {
			return next, 0
		}
		room = min(room, int64(n))
		if l.rules.PerHour > 0 {
			room = min(room, int64(l.rules.PerHour+strides-1)/strides)
		}
		if begin := l.rules.Quiet.Begin(at); !begin.IsZero() {
			room = min(room, s.within(begin.Sub(at)-1)) // what comes when they begin must wait
		}
	}
	return at, room
}

// within is how many messages fit into a time, at least one.
func (s *sender) within(d time.Duration) int64 {
	if s.gap <= 0 {
		return maxStride
	}
	return min(maxStride, 1+int64(d/s.gap))
}

// maxStride is more than a bulk has.
const maxStride = 1 << 20
