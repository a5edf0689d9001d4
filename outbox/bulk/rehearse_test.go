package bulk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/outbox/pace"
)

func (w *world) rehearse(d bulk.Draft) bulk.Rehearsal {
	w.t.Helper()
	r, err := w.service.Rehearse(w.t.Context(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Valid+r.Invalid+r.Skipped != r.Total {
		w.t.Errorf("%d, %d and %d are not %d", r.Valid, r.Invalid, r.Skipped, r.Total)
	}
	sum := int64(0)
	for _, n := range r.Outcomes {
		sum += n
	}
	if sum != r.Total {
		w.t.Errorf("the outcomes %v are not %d", r.Outcomes, r.Total)
	}
	return r
}

func TestARehearsalTellsWhatWouldBecomeOfEveryRow(t *testing.T) {
	w := newWorld(t)
	w.memory.optOuts[number(1200)] = true
	w.lanes.rules["ins_a"] = &pace.Rules{MinGap: time.Second}
	got := w.rehearse(w.draft(0, func(d *bulk.Draft) {
		d.Content = text("Hi {{name}}")
		d.Rows = append(append(broken(), numbers(1300)[5:]...), bulk.Row{To: "15005550009", Names: []string{"name"}, Values: []string{"x"}})
		d.Pay = func(int) error { return errors.New("a rehearsal costs nothing") }
		d.ClaimFor = func(messaging.Bulk) (*messaging.Claim, error) { return nil, errors.New("a rehearsal is not kept") }
	}))
	want := bulk.Rehearsal{
		Refused: true, Total: 1303, Valid: 1296, Invalid: 5, Skipped: 2,
		Outcomes: map[string]int64{
			"read": 1295, "NOT_ON_WHATSAPP": 1, "OPTED_OUT": 1, "DUPLICATE": 1,
			"INVALID_RECIPIENT": 2, "MISSING_VARIABLE": 1, "TEXT_TOO_LONG": 1, "INVALID_ROW": 1,
		},
		Faults: got.Faults, Starts: w.clock.Now(), Ends: w.clock.Now().Add(1295 * time.Second), Duration: 1295 * time.Second,
		RequestTokens: 13, MessageTokens: 1297, // who has opted out is paid for: nobody knows before their turn
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got.Faults) != 5 || got.Faults[4].Code != "TYPE" {
		t.Errorf("faults = %+v", got.Faults)
	}
	if len(w.memory.bulks)+len(w.memory.staged) > 0 {
		t.Error("a rehearsal was stored")
	}
}

// A rehearsal that says yes to what is then refused is worse than none.
func TestARehearsalIsRefusedWhenTheBulkIs(t *testing.T) {
	good, bad := bulk.Row{To: number(1)}, bulk.Row{To: "none"}
	for name, c := range map[string]struct {
		rows    rows
		skip    bool
		refused bool
	}{
		"all can be sent":                {rows{good}, false, false},
		"one cannot":                     {rows{good, bad}, false, true},
		"one cannot and is skipped":      {rows{good, bad}, true, false},
		"none can":                       {rows{bad, bad}, false, true},
		"none can and all are skipped":   {rows{bad, bad}, true, true},
		"one is a duplicate":             {rows{good, good}, false, false},
		"one who wants none is no fault": {rows{{To: number(2)}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := closed(newWorld(t))
			w.memory.optOuts[number(2)] = true
			d := w.draft(0, func(d *bulk.Draft) { d.Rows, d.Options.SkipInvalid = c.rows, c.skip })
			if got := w.rehearse(d); got.Refused != c.refused {
				t.Errorf("rehearsed: refused %t, want %t", got.Refused, c.refused)
			}
			if _, err := w.service.Accept(t.Context(), d); (err != nil) != c.refused {
				t.Errorf("Accept = %v, want refused %t", err, c.refused)
			}
		})
	}
}

func TestARehearsalBeginsWhenTheBulkWould(t *testing.T) {
	w := newWorld(t)
	d := w.quietDraft(100)
	d.Options.SendAt = w.clock.Now().Add(15 * time.Hour) // midnight in São Paulo
	d.Options.Pace = &messaging.BulkPace{PerHour: 10}
	got := w.rehearse(d)
	morning := w.clock.Now().Add(23 * time.Hour)
	if !got.Starts.Equal(morning) || got.Duration < 9*time.Hour || got.Duration > 10*time.Hour {
		t.Errorf("it starts at %s and takes %s, want %s and 9 to 10 hours", got.Starts, got.Duration, morning)
	}
	w.lanes.setClosed("ins_a", true)
	if got := w.rehearse(d); !got.Ends.IsZero() || got.Duration != 0 {
		t.Errorf("without a connection it ends at %s", got.Ends)
	}
}

func TestARehearsalKnowsTheCapWithinTheBulk(t *testing.T) {
	w := newWorld(t)
	got := w.rehearse(w.draft(0, func(d *bulk.Draft) {
		d.Rows = rows{{To: number(1)}, {To: number(1)}, {To: number(2)}, {To: number(1)}}
		d.Options.Dedupe, d.Options.FrequencyCap = false, &messaging.FrequencyCap{Max: 2, Per: time.Hour}
	}))
	if diff := cmp.Diff(map[string]int64{"read": 3, "FREQUENCY_CAP": 1}, got.Outcomes); diff != "" {
		t.Error(diff)
	}
}

func TestARehearsalOfLiveRecipientsGuessesNothing(t *testing.T) {
	w := newWorld(t)
	got := w.rehearse(w.draft(3, func(d *bulk.Draft) {
		d.Tenancy = messaging.NewTenancy("wsp_one", messaging.Live, messaging.AllInstances())
	}))
	if diff := cmp.Diff(map[string]int64{"accepted": 3}, got.Outcomes); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeABulkCannotBeRehearsed(t *testing.T) {
	w := newWorld(t)
	for _, d := range []bulk.Draft{
		w.draft(0), w.draft(1, func(d *bulk.Draft) { d.Content = text("{{") }), w.draft(messaging.MaxBulkRows + 1),
	} {
		if _, err := w.service.Rehearse(t.Context(), d); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("Rehearse = %v, want a validation fault", err)
		}
	}
}
