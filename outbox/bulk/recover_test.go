package bulk_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

// leaky is a store in which something happens between a read of what waits and
// what is made of it.
type leaky struct {
	*memory
	meanwhile func()
}

func (l leaky) BulkWaiting(ctx context.Context, b messaging.Bulk) ([]bulk.Waiting, error) {
	out, err := l.memory.BulkWaiting(ctx, b)
	l.meanwhile()
	return out, err
}

// A message that nobody hears leave would stand in the way for ever.
func TestWhatLeavesDuringRecoveryIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(3, paced(messaging.BulkPace{MinGap: time.Second})))
	w.service.Stop()
	w.start(func(o *bulk.Options) {
		o.Store = leaky{w.memory, func() { w.lanes.carry("ins_a", 1, allSent) }}
	})
	w.drain(b)
}

// What was in hand when a process ended comes back, and knows of no pause.
func TestWhatComesBackOfABulkThatMustNotGoOutStaysBack(t *testing.T) {
	for name, c := range map[string]struct {
		draft func(*world) bulk.Draft
		stop  func(*world, messaging.Bulk) error
		want  messaging.BulkCounts
	}{
		"paused": {nil, func(w *world, b messaging.Bulk) error {
			_, err := w.service.Pause(t.Context(), w.tenancy, b.ID)
			return err
		}, messaging.BulkCounts{Total: 10, Queued: 10}},
		"canceled": {nil, func(w *world, b messaging.Bulk) error {
			_, err := w.service.Cancel(t.Context(), w.tenancy, b.ID)
			return err
		}, messaging.BulkCounts{Total: 10, Canceled: 10}},
		"in quiet hours": {func(w *world) bulk.Draft { return w.quietDraft(10) }, func(w *world, _ messaging.Bulk) error {
			w.pass(13 * time.Hour)
			return nil
		}, messaging.BulkCounts{Total: 10, Queued: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.draft(10)
			if c.draft != nil {
				d = c.draft(w)
			}
			b := w.accept(d)
			w.lanes.grasp("ins_a")
			if err := c.stop(w, b); err != nil {
				t.Fatal(err)
			}
			w.service.Stop()
			w.lanes.dropAll()
			w.service = w.newService()
			w.memory.setTell(w.service.Tell)
			if err := w.service.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer w.service.Stop()
			if n := w.lanes.carry("ins_a", 100, allSent); n != 0 {
				t.Errorf("%d were sent once the lanes went on", n)
			}
			w.service.Start()
			w.idle()
			if n := w.lanes.carry("ins_a", 100, allSent); n != 0 {
				t.Errorf("%d were sent", n)
			}
			if diff := cmp.Diff(c.want, w.state(b).Counts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The lanes read what waits when the outbox recovers: whatever comes to them
// before would pass it.
func TestNothingHasItsTurnBeforeStart(t *testing.T) {
	w := closed(newWorld(t))
	b := w.accept(w.draft(10))
	w.service.Stop()
	w.service = w.newService()
	w.memory.setTell(w.service.Tell)
	if err := w.service.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.service.Stop()
	w.lanes.setClosed("ins_a", false)
	w.service.Wake("ins_a")
	w.idle()
	if n, _ := w.lanes.waiting("ins_a"); n != 0 {
		t.Errorf("%d messages came to a lane that is not read yet", n)
	}
	w.service.Start()
	w.drain(b)
}

// The bulks of others must go on, whatever is wrong with one.
func TestABulkThatCannotBeReadIsLeftOutAndSaidOnce(t *testing.T) {
	for name, spoil := range map[string]func(*memoryBulk){
		"its template": func(b *memoryBulk) { b.Template = text("{{") },
		"a chunk":      func(b *memoryBulk) { b.chunks[0].Data = []byte("no rows") },
		"no chunk":     func(b *memoryBulk) { b.chunks = nil },
		"its variables": func(b *memoryBulk) {
			b.chunks[0].Data = bytes.ReplaceAll(b.chunks[0].Data, []byte(`{"name":"N0"}`), []byte(`{"name":7}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := closed(newWorld(t))
			spoilt, sound := w.accept(w.draft(10)), w.accept(w.draft(10))
			w.service.Stop()
			w.memory.mu.Lock()
			spoil(w.memory.bulks[spoilt.ID])
			w.memory.mu.Unlock()
			w.lanes.setClosed("ins_a", false)
			var log journal
			w.start(func(o *bulk.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			w.drain(sound)
			w.service.Wake("ins_a")
			w.idle()
			if got := log.count(spoilt.ID); got != 1 {
				t.Errorf("the log tells of the bulk %d times, want once", got)
			}
			if got, err := w.service.Cancel(t.Context(), w.tenancy, spoilt.ID); err != nil || got.State != messaging.BulkCanceled {
				t.Errorf("it cannot be canceled: %+v, %v", got, err)
			}
		})
	}
}

// journal is a log that is counted.
type journal struct {
	mu    sync.Mutex
	lines [][]byte
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, bytes.Clone(line))
	return len(line), nil
}

func (j *journal) count(part string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if bytes.Contains(line, []byte(part)) {
			n++
		}
	}
	return n
}
