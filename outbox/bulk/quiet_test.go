package bulk_test

import (
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

func TestAScheduledBulkBeginsAtItsTimeAlsoAfterARestart(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Hour) }))
	if b.State != messaging.BulkScheduled {
		t.Fatalf("state = %s, want scheduled", b.State)
	}
	w.restart()
	w.pass(59 * time.Minute)
	if got, _ := w.lanes.waiting("ins_a"); got != 0 || w.state(b).State != messaging.BulkScheduled {
		t.Fatalf("%d messages before their time", got)
	}
	w.pass(time.Minute)
	if got, _ := w.lanes.waiting("ins_a"); got != 10 {
		t.Errorf("%d messages wait, want 10", got)
	}
	w.drain(b)
}

// quietDraft is a bulk that is quiet from 22:00 to 08:00 in São Paulo. The test's
// clock shows 09:00 there when it begins.
func (w *world) quietDraft(n int) bulk.Draft {
	return w.draft(n, func(d *bulk.Draft) {
		d.Options.QuietHours = &messaging.BulkQuiet{From: "22:00", To: "08:00", TimeZone: "America/Sao_Paulo"}
	})
}

func TestNothingOfABulkIsSentInQuietHours(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.quietDraft(2000))
	w.lanes.carry("ins_a", 100, allSent)
	w.pass(13*time.Hour - time.Second)
	if _, due := w.lanes.waiting("ins_a"); due == 0 {
		t.Fatal("nothing is to be sent a second before quiet hours")
	}
	w.pass(time.Second)
	for range 3 {
		if got := w.lanes.carry("ins_a", 1000, allSent); got != 0 {
			t.Fatalf("%d were sent in quiet hours", got)
		}
		w.restart()
		w.pass(3 * time.Hour)
	}
	if est := w.service.Estimate(t.Context(), w.state(b)); est.Before(w.clock.Now().Add(time.Hour)) {
		t.Errorf("at 07:00 the bulk is estimated to end at %s", est)
	}
	w.pass(time.Hour)
	if _, due := w.lanes.waiting("ins_a"); due == 0 {
		t.Error("nothing is to be sent in the morning")
	}
	w.drain(b)
	if got := len(w.recipients()); got != 2000 {
		t.Errorf("%d were sent", got)
	}
}

func TestAClockThatSkipsWaitsSkipsQuietHoursAndPace(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(14 * time.Hour)
	w.clock.skip(true)
	d := w.quietDraft(300)
	d.Options.SendAt = w.clock.Now().Add(48 * time.Hour)
	d.Options.Pace = &messaging.BulkPace{MinGap: time.Minute, PerHour: 5}
	b := w.accept(d)
	for range 300 {
		w.lanes.carry("ins_a", 1, allSent)
		w.idle()
	}
	if got := w.state(b).State; got != messaging.BulkCompleted {
		t.Errorf("state = %s, want completed", got)
	}
}

func TestABulkThatIsResumedAtNightWaitsForTheMorning(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.quietDraft(100))
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.pass(15 * time.Hour) // midnight
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.idle()
	if n := w.lanes.carry("ins_a", 100, allSent); n != 0 {
		t.Errorf("%d were sent at night", n)
	}
	w.pass(8 * time.Hour)
	w.drain(b)
}
