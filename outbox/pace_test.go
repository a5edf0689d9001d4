package outbox_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// sending is when the network was given a message.
type sending struct {
	id string
	at time.Time
}

// times has the network note when it was given what.
func (w *world) times() func() []sending {
	var mu sync.Mutex
	var all []sending
	w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, sending{m.MessageID, w.clock.Now()})
		return nil
	})
	return func() []sending {
		mu.Lock()
		defer mu.Unlock()
		return append([]sending(nil), all...)
	}
}

// finish moves the clock from call to call until nothing waits.
func (w *world) finish() {
	w.t.Helper()
	for range 10_000 {
		w.idle()
		if lanes, err := w.store.Lanes(w.t.Context()); err == nil && len(lanes) == 0 {
			return
		}
		next, ok := w.clock.next()
		if !ok {
			w.t.Fatal("messages wait, but the lane has not asked for a call")
		}
		w.clock.pass(max(0, next.Sub(w.clock.Now())))
	}
	w.t.Fatal("the queue does not end")
}

func (w *world) pace() outbox.PaceState {
	w.t.Helper()
	s, err := w.outbox.Pace(w.t.Context(), w.tenancy, w.instance.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// long keeps a message from expiring while it is paced.
func long(d *outbox.Draft) { d.ExpiresIn = 365 * 24 * time.Hour }

// paceWant is a pace of which a test knows the limits.
type paceWant struct {
	gap              time.Duration
	perHour, perDay  int
	quietFrom, quiet int // minutes
	zone             string
}

func drawPace(rt *rapid.T) (p paceWant, settings string) {
	p = paceWant{
		gap:     time.Duration(rapid.SampledFrom([]int{0, 300, 1000, 90_000}).Draw(rt, "min_gap_ms")) * time.Millisecond,
		perHour: rapid.IntRange(0, 5).Draw(rt, "per_hour"), perDay: rapid.IntRange(0, 9).Draw(rt, "per_day"),
		quietFrom: rapid.IntRange(0, 1439).Draw(rt, "quiet from"), quiet: rapid.SampledFrom([]int{0, 30, 600}).Draw(rt, "quiet minutes"),
		zone: rapid.SampledFrom([]string{"UTC", "America/New_York"}).Draw(rt, "zone"),
	}
	clock := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60%24, m%60) }
	return p, fmt.Sprintf(`{"pace":{"enabled":true,"min_gap_ms":%d,"jitter_ms":%d,"per_hour":%d,"per_day":%d,
		"quiet_hours":{"from":%q,"to":%q,"time_zone":%q}}}`,
		p.gap.Milliseconds(), rapid.SampledFrom([]int{0, 700}).Draw(rt, "jitter_ms"), p.perHour, p.perDay,
		clock(p.quietFrom), clock(p.quietFrom+p.quiet), p.zone)
}

// check fails when what was sent has broken a limit.
func (p *paceWant) check(rt *rapid.T, sent []sending) {
	place, err := time.LoadLocation(p.zone)
	if err != nil {
		rt.Fatal(err)
	}
	for i, s := range sent {
		local := s.at.In(place)
		if since := (local.Hour()*60 + local.Minute() - p.quietFrom + 1440) % 1440; since < p.quiet {
			rt.Errorf("sent at %s, %d minutes into the quiet hours", local, since)
		}
		if i > 0 && s.at.Sub(sent[i-1].at) < p.gap {
			rt.Errorf("sent %s after another, the gap is %s", s.at.Sub(sent[i-1].at), p.gap)
		}
		for _, limit := range []struct {
			most int
			span time.Duration
		}{{p.perHour, time.Hour}, {p.perDay, 24 * time.Hour}} {
			if n := i - limit.most; limit.most > 0 && n >= 0 && s.at.Sub(sent[n].at) < limit.span {
				rt.Errorf("%d sent within %s, the most is %d", limit.most+1, s.at.Sub(sent[n].at), limit.most)
			}
		}
	}
}

// Whatever comes when, and however often the process is another: no limit is
// broken, nothing is lost, and each priority keeps its order.
func TestAPaceIsNeverBroken(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
		defer w.outbox.Stop()
		w.clock.set(time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)) // the clocks of New York change tonight
		want, settings := drawPace(rt)
		w.set(settings)
		sent := w.times()
		order := make(map[messaging.Priority][]string)
		priorities := make(map[string]messaging.Priority)
		for range rapid.IntRange(1, 20).Draw(rt, "acts") {
			switch rapid.SampledFrom([]string{"send", "send", "send", "pass", "restart"}).Draw(rt, "act") {
			case "send":
				p := messaging.Priority(rapid.IntRange(0, 2).Draw(rt, "priority"))
				m := w.accept(number(rapid.IntRange(0, 3).Draw(rt, "to")), long, func(d *outbox.Draft) { d.Priority = p })
				order[p], priorities[m.ID] = append(order[p], m.ID), p
			case "pass":
				w.clock.pass(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(rt, "pass")))
			case "restart":
				w.restart()
			}
		}
		w.finish()
		want.check(rt, sent())
		got := make(map[messaging.Priority][]string)
		for _, s := range sent() {
			got[priorities[s.id]] = append(got[priorities[s.id]], s.id)
		}
		if diff := cmp.Diff(order, got); diff != "" {
			rt.Error(diff)
		}
	})
}

// The counts are committed with the outcomes, so a process that was killed
// leaves what one that was stopped leaves.
func TestARestartDoesNotResetTheCaps(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.set(`{"pace":{"enabled":true,"min_gap_ms":1000,"jitter_ms":0,"per_hour":3,"per_day":5}}`)
		began := w.clock.Now()
		var all []messaging.Message
		for n := range 7 {
			all = append(all, w.accept(number(n), long))
		}
		for range 4 {
			w.restart()
			w.idle()
			w.pass(time.Second)
		}
		want := outbox.PaceState{UsedHour: 3, UsedDay: 3, NextAt: began.Add(time.Hour + 2*time.Second), Waiting: 4}
		if diff := cmp.Diff(want, w.pace()); diff != "" {
			t.Errorf("after restarts (-want +got):\n%s", diff)
		}
		if got := w.status(all[3]); got != messaging.StatusQueued {
			t.Errorf("a message that waits for the pace is %s, want queued", got)
		}
		w.pass(65 * time.Minute)
		w.restart()
		w.idle()
		w.pass(time.Minute)
		if got := w.pace(); got.UsedDay != 5 || got.Waiting != 2 || got.NextAt.Before(began.Add(24*time.Hour)) {
			t.Errorf("a day's cap after restarts: %+v", got)
		}
		w.finish()
		if diff := cmp.Diff(ids(all...), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

// The gap, too, is from the last message of whatever process.
func TestARestartDoesNotShortenTheGap(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":600000,"jitter_ms":0,"per_hour":0,"per_day":0}}`)
	w.accept(number(1), long)
	w.idle()
	second := w.accept(number(2), long)
	w.pass(9 * time.Minute)
	w.restart()
	w.idle()
	w.pass(59 * time.Second)
	if got := w.status(second); got != messaging.StatusQueued {
		t.Fatalf("status = %s before the gap has passed", got)
	}
	w.pass(time.Second)
	if got := w.status(second); got != messaging.StatusSent {
		t.Errorf("status = %s, want sent", got)
	}
}

func TestChangedSettingsTakeEffectAtOnce(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":1}}`)
	for n := range 6 {
		w.accept(number(n))
	}
	for _, c := range []struct {
		settings string
		want     int
	}{
		{`{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":1}}`, 1},
		{`{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":3}}`, 3},
		{`{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":2}}`, 3},
		{`{"pace":{"enabled":false,"per_hour":2}}`, 6},
	} {
		w.set(c.settings)
		w.idle()
		if got := len(w.network.list()); got != c.want {
			t.Errorf("%d carried after %s, want %d", got, c.settings, c.want)
		}
	}
}

func TestAMessageExpiresWhileItIsPaced(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.set(`{"pace":{"enabled":true,"min_gap_ms":3600000,"jitter_ms":0}}`)
		w.accept(number(1), long)
		short := w.accept(number(2), func(d *outbox.Draft) { d.ExpiresIn = time.Minute })
		last := w.accept(number(3), long)
		w.idle()
		w.pass(2 * time.Minute)
		if got := w.status(short); got != messaging.StatusExpired {
			t.Errorf("status = %s, want expired", got)
		}
		w.pass(58 * time.Minute)
		if got := w.status(last); got != messaging.StatusSent {
			t.Errorf("the next message is %s: what expired has cost a gap", got)
		}
	})
}

func TestHighPriorityIsPacedButGoesFirst(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":1000,"jitter_ms":0}}`)
	first, second := w.accept(number(1)), w.accept(number(2))
	w.idle()
	high := w.accept(number(3), func(d *outbox.Draft) { d.Priority = messaging.High })
	w.idle()
	if diff := cmp.Diff(ids(first), w.network.list()); diff != "" {
		t.Fatal(diff)
	}
	w.finish()
	if diff := cmp.Diff(ids(first, high, second), w.network.list()); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsSentInQuietHours(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.clock.set(time.Date(2026, 3, 8, 1, 30, 0, 0, time.UTC)) // 22:30 in São Paulo
	w.set(`{"pace":{"enabled":true,"quiet_hours":{"from":"22:00","to":"08:00","time_zone":"America/Sao_Paulo"}}}`)
	m := w.accept(number(1))
	w.idle()
	morning := time.Date(2026, 3, 8, 11, 0, 0, 0, time.UTC)
	if diff := cmp.Diff(outbox.PaceState{NextAt: morning, Waiting: 1}, w.pace()); diff != "" {
		t.Errorf("at night (-want +got):\n%s", diff)
	}
	w.pass(9*time.Hour + 29*time.Minute)
	if got := w.status(m); got != messaging.StatusQueued {
		t.Errorf("status = %s a minute before the end", got)
	}
	w.pass(time.Minute)
	if got := w.status(m); got != messaging.StatusSent {
		t.Errorf("status = %s in the morning, want sent", got)
	}
}

// What the network would not take has been asked of it all the same.
func TestARefusalCostsAGapButNoCap(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":1000,"jitter_ms":0,"per_hour":1}}`)
	w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
		if m.To.Phone() == number(1) {
			return &messaging.Outcome{Verdict: messaging.Refused, At: w.clock.Now(), Error: &messaging.SendError{Code: "NOT_ON_WHATSAPP"}}
		}
		return nil
	})
	refused, next := w.accept(number(1)), w.accept(number(2))
	w.idle()
	if got := w.status(refused); got != messaging.StatusFailed {
		t.Fatalf("status = %s, want failed", got)
	}
	if got := w.pace(); got.UsedHour != 0 || !got.NextAt.Equal(w.clock.Now().Add(time.Second)) {
		t.Errorf("after a refusal: %+v", got)
	}
	w.pass(time.Second)
	if got := w.status(next); got != messaging.StatusSent {
		t.Errorf("the next message is %s, want sent", got)
	}
}

// A network that has trouble is not asked faster than the pace allows. What it
// did not answer for may have been carried, and counts; what it refused for now
// does not.
func TestTriesThatAreDeferredKeepThePace(t *testing.T) {
	for name, c := range map[string]struct {
		said *messaging.SendError
		used int
	}{
		"refused for now": {&messaging.SendError{Code: "PROVIDER_ERROR", Message: "500"}, 0},
		"not answered":    {nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
			w.set(`{"pace":{"enabled":true,"min_gap_ms":10000,"jitter_ms":0,"per_hour":3}}`)
			var asked []time.Time
			w.network.setJudge(func(messaging.Outgoing) *messaging.Outcome {
				asked = append(asked, w.clock.Now())
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(2 * time.Hour), Error: c.said}
			})
			for n := range 20 {
				w.accept(number(n), long)
			}
			for range 25 {
				w.idle()
				w.clock.pass(10 * time.Second)
			}
			w.idle()
			for n := 1; n < len(asked); n++ {
				if gap := asked[n].Sub(asked[n-1]); gap < 10*time.Second {
					t.Fatalf("try %d came %s after the one before", n, gap)
				}
			}
			if got := w.pace().UsedHour; got != c.used {
				t.Errorf("%d of the hour are used, want %d", got, c.used)
			}
			if want := 20; c.used == 0 && len(asked) != want || c.used > 0 && len(asked) != c.used {
				t.Errorf("the network was asked %d times", len(asked))
			}
		})
	}
}

// A message whose connection is lost in the middle of it may have been carried.
func TestATryThatCostTheConnectionCounts(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":1000,"jitter_ms":0,"per_hour":2}}`)
	tries := 0
	w.network.setJudge(func(messaging.Outgoing) *messaging.Outcome {
		if tries++; tries == 1 {
			return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true}
		}
		return nil
	})
	m := w.accept(number(1))
	w.idle()
	w.outbox.Wake(w.instance.ID)
	w.idle()
	if tries != 1 {
		t.Fatalf("%d tries before the gap has passed", tries)
	}
	w.pass(time.Second)
	got, err := w.store.Message(t.Context(), w.tenancy, m.ID)
	if err != nil || got.Status != messaging.StatusSent || got.Attempts != 2 {
		t.Errorf("%+v, %v; want sent with the second attempt", got.State, err)
	}
	if used := w.pace().UsedHour; used != 2 {
		t.Errorf("%d of the hour are used, want 2", used)
	}
}

// A rehearsal in instant mode skips the waits, and what it skipped is not owed
// afterwards.
func TestAClockThatSkipsWaitsSkipsThePace(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"min_gap_ms":1000,"jitter_ms":500,"per_hour":2,"per_day":3,"warm_up":true}}`)
	w.clock.skip(true)
	var all []messaging.Message
	for n := range 8 {
		all = append(all, w.accept(number(n)))
	}
	w.idle()
	if diff := cmp.Diff(ids(all...), w.network.list()); diff != "" {
		t.Fatal(diff)
	}
	if got := w.pace(); got.UsedHour != 8 || got.NextAt.After(w.clock.Now().Add(24*time.Hour)) {
		t.Errorf("after skipping: %+v", got)
	}
}

// Another number begins anew; the number that comes back does not.
func TestACapIsThatOfANumber(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.set(`{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_day":2}}`)
		for n := range 5 {
			w.accept(number(n), long)
		}
		w.idle()
		for _, c := range []struct {
			phone string
			want  int
		}{{"15555550000", 2}, {"15555550001", 4}, {"15555550000", 4}} {
			w.relink(c.phone)
			w.idle()
			if got := len(w.network.list()); got != c.want {
				t.Errorf("%d carried with the number %s, want %d", got, c.phone, c.want)
			}
		}
	})
}

func TestAnInstanceWithoutAPaceOnlyTellsWhatWaits(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.accept(number(1))
	w.idle()
	w.accept(number(2), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
	if diff := cmp.Diff(outbox.PaceState{Waiting: 1}, w.pace()); diff != "" {
		t.Error(diff)
	}
}
