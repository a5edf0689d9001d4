package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/outbox/pace"
)

// Who is locked for strangers waits for an hour: that must not stop the others.
func TestHeldMessagesDoNotKeepABulkFromGoingOn(t *testing.T) {
	w := newWorld(t)
	d := w.draft(2000)
	w.setInstance("ins_a", `{"pace":{"enabled":true}}`)
	b := w.accept(d)
	for range 20 {
		w.lanes.carry("ins_a", 8, func(*messaging.Message) messaging.Status { return messaging.StatusHeld })
		w.idle()
	}
	if got, due := w.lanes.waiting("ins_a"); got != 21*8 || due != 8 {
		t.Errorf("%d messages wait, %d of them due, want 168 and 8", got, due)
	}
	for range 100 {
		w.lanes.carry("ins_a", 8, func(*messaging.Message) messaging.Status { return messaging.StatusHeld })
		w.idle()
	}
	if got, _ := w.lanes.waiting("ins_a"); got > 8+512 {
		t.Errorf("%d messages wait: what is held has a limit, too", got)
	}
	w.pass(time.Hour)
	w.drain(b)
}

func TestABulksPaceIsKept(t *testing.T) {
	w := newWorld(t)
	d := w.draft(40, func(d *bulk.Draft) {
		d.Options.Pace = &messaging.BulkPace{MinGap: 2 * time.Second, Jitter: time.Second, PerHour: 10}
	})
	b, err := w.service.Accept(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.lanes.carry("ins_a", 9, allSent)
	w.restart() // the book is read again
	w.drain(b)
	sent := w.lanes.list()
	if len(sent) != 40 {
		t.Fatalf("%d were sent", len(sent))
	}
	for i, s := range sent {
		if i > 0 && s.at.Sub(sent[i-1].at) < 2*time.Second {
			t.Errorf("message %d came %s after the one before", i, s.at.Sub(sent[i-1].at))
		}
		if i >= 10 && s.at.Sub(sent[i-10].at) < time.Hour {
			t.Errorf("messages %d to %d came within %s", i-10, i, s.at.Sub(sent[i-10].at))
		}
	}
	if took := sent[39].at.Sub(sent[0].at); took > 3*time.Hour+5*time.Minute {
		t.Errorf("it took %s", took)
	}
}

// The estimate is asked for while the bulk runs, and told to people.
func TestTheEstimateFollowsThePace(t *testing.T) {
	w := newWorld(t)
	d := w.draft(1000)
	w.lanes.rules["ins_a"] = &pace.Rules{PerHour: 100}
	w.setInstance("ins_a", `{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":100,"per_day":0}}`)
	b := w.accept(d)
	if got := w.service.Estimate(t.Context(), w.state(b)).Sub(w.clock.Now()); got < 9*time.Hour || got > 10*time.Hour {
		t.Errorf("1000 messages at 100 an hour take %s", got)
	}
	w.lanes.other["ins_a"] = 500
	if got := w.service.Estimate(t.Context(), w.state(b)).Sub(w.clock.Now()); got < 14*time.Hour || got > 15*time.Hour {
		t.Errorf("behind 500 others they take %s", got)
	}
	w.lanes.setClosed("ins_a", true)
	if got := w.service.Estimate(t.Context(), w.state(b)); !got.IsZero() {
		t.Errorf("without a connection they end at %s", got)
	}
	w.lanes.setClosed("ins_a", false)
	w.drain(b)
	if got := w.service.Estimate(t.Context(), w.state(b)); !got.IsZero() {
		t.Errorf("a completed bulk ends at %s", got)
	}
}

// The gap is what a number is seen to keep, so it counts from the sending.
func TestTheGapCountsFromWhenAMessageLeavesItsLane(t *testing.T) {
	for name, late := range map[string]func(*world, messaging.Bulk){
		"behind others": func(w *world, _ messaging.Bulk) { w.pass(time.Hour) },
		"after a pause": func(w *world, b messaging.Bulk) {
			if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Hour)
			if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
				t.Fatal(err)
			}
		},
		"after a restart": func(w *world, _ messaging.Bulk) { w.pass(time.Hour); w.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.accept(w.draft(4, paced(messaging.BulkPace{MinGap: 10 * time.Minute})))
			late(w, b)
			w.drain(b)
			sent := w.lanes.list()
			for i := 1; i < len(sent); i++ {
				if gap := sent[i].at.Sub(sent[i-1].at); gap < 10*time.Minute {
					t.Errorf("messages %d and %d are %s apart", i, i+1, gap)
				}
			}
			if took := sent[3].at.Sub(sent[0].at); took > 31*time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What the network holds for an hour is freed at one time.
func TestHeldMessagesOfABulkWithAPaceDoNotFallDueTogether(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(5, paced(messaging.BulkPace{MinGap: time.Minute})))
	for range 4 {
		w.lanes.carry("ins_a", 1, func(*messaging.Message) messaging.Status { return messaging.StatusHeld })
		w.pass(10 * time.Minute)
		if got, _ := w.lanes.waiting("ins_a"); got != 1 {
			t.Fatalf("%d messages wait, want 1", got)
		}
	}
	w.pass(time.Hour)
	w.drain(b)
}

func TestWhatIsCanceledTakesNoPlaceInThePace(t *testing.T) {
	w := newWorld(t)
	w.accept(w.draft(3, paced(messaging.BulkPace{MinGap: time.Hour})))
	w.service.OptedOut(w.world(), "ins_a", number(0))
	w.idle()
	if _, due := w.lanes.waiting("ins_a"); due != 1 {
		t.Errorf("%d messages are to be sent, want the second row's", due)
	}
}

// The gap behind the message that has just gone belongs to the time that is left.
func TestTheEstimateBeginsBehindTheLastMessage(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(3, paced(messaging.BulkPace{MinGap: time.Hour})))
	created := w.clock.Now()
	w.lanes.carry("ins_a", 1, allSent)
	w.idle()
	for _, after := range []time.Duration{0, 2 * time.Second, 30 * time.Minute} {
		w.pass(created.Add(after).Sub(w.clock.Now()))
		if got := w.service.Estimate(t.Context(), w.state(b)); !got.Equal(created.Add(2 * time.Hour)) {
			t.Errorf("%s after the first of three messages an hour apart, the end is told as %s", after, got.Sub(created))
		}
	}
	w.drain(b)
	if sent := w.lanes.list(); !sent[2].at.Equal(created.Add(2 * time.Hour)) {
		t.Errorf("the last one went after %s", sent[2].at.Sub(created))
	}
}

// A first guess that is too good disappoints; one that is too bad only surprises.
func TestTheFirstGuessIsAThousandASecond(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10_000))
	if got := w.service.Estimate(t.Context(), w.state(b)).Sub(w.clock.Now()).Round(time.Second); got != 10*time.Second {
		t.Errorf("10,000 messages take %s", got)
	}
}

// Whoever gave up an estimate wants no log of it, and one that fails for a
// thousand instances is one failure.
func TestAnEstimateThatCannotBeMadeIsSaidOnceOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	w.service.Stop()
	var log journal
	var away error
	w.start(func(o *bulk.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Instance = func(ctx context.Context, world messaging.World, id string) (messaging.Instance, error) {
			return messaging.Instance{}, errors.Join(away, ctx.Err())
		}
	})
	away = errors.New("the database is away")
	b := messaging.Bulk{
		ID: "blk_one", WorkspaceID: "wsp_one", Environment: messaging.Test, State: messaging.BulkRunning,
		InstanceIDs: []string{"ins_a", "ins_b", "ins_c"}, Counts: messaging.BulkCounts{Queued: 10},
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := w.service.Estimate(gone, b); !got.IsZero() || log.count("") != 0 {
		t.Errorf("given up: %s, %d lines", got, log.count(""))
	}
	if got := w.service.Estimate(t.Context(), b); !got.IsZero() || log.count("") != 1 {
		t.Errorf("failed: %s, %d lines", got, log.count(""))
	}
	if !bytes.Contains(log.lines[0], []byte("ins_c")) {
		t.Errorf("log: %s", log.lines)
	}
}
