package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// wide are n rows of a file whose 255 columns of variables have headers of 490
// bytes; value is in every cell of theirs, and the last one is filled in.
func wide(n int, value string) rows {
	names, values := make([]string, 255), make([]string, 255)
	for i := range names {
		names[i], values[i] = fmt.Sprintf("%03d%s", i, strings.Repeat("h", 487)), value
	}
	values[254] = "last"
	out := make(rows, n)
	for i := range out {
		out[i] = bulk.Row{To: number(i), Line: int64(i + 2), Names: names, Values: values}
	}
	return out
}

// Such a file has half a kilobyte for each row; the names of its variables make
// 126 KB of it, or 12 GB of 100,000.
func TestTheNamesOfVariablesDoNotMakeABulkHuge(t *testing.T) {
	w := closed(newWorld(t))
	d := w.draft(0, func(d *bulk.Draft) { d.Rows = wide((256<<20)/(255*490), "x") })
	for name, act := range map[string]func() error{
		"Accept":   func() error { _, err := w.service.Accept(t.Context(), d); return err },
		"Rehearse": func() error { _, err := w.service.Rehearse(t.Context(), d); return err },
	} {
		err := act()
		if f := fault.As(err); !errors.Is(err, bulk.ErrRowsTooLarge) || f.Kind() != fault.TooLarge || f.Code() != "PAYLOAD_TOO_LARGE" {
			t.Errorf("%s = %v, want %v", name, err, bulk.ErrRowsTooLarge)
		}
	}
	if len(w.memory.bulks)+len(w.memory.staged) > 0 {
		t.Error("it was stored")
	}
}

func TestEmptyVariablesTakeNoRoom(t *testing.T) {
	w := closed(newWorld(t))
	const n = 2000
	given := wide(n, "")
	b := w.accept(w.draft(0, func(d *bulk.Draft) { d.Rows = given }))
	for _, row := range w.stored(b) {
		if want := `{"` + given[0].Names[254] + `":"last"}`; string(row.Variables) != want {
			t.Fatalf("row %d has %s, want %s", row.Number, row.Variables, want)
		}
	}
	size := 0
	for _, c := range w.memory.bulks[b.ID].chunks {
		size += len(c.Data)
	}
	if size > n*700 {
		t.Errorf("%d rows have %d bytes", n, size)
	}
}

// The faults of 100,000 rows are about a name that is as long as a template may
// be.
func TestALongNameIsToldInPart(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("é", 500_000)
	_, err := w.service.Accept(t.Context(), w.draft(2, func(d *bulk.Draft) { d.Content = text("{{" + long + "}}") }))
	head := strings.Repeat("é", 64)
	want := []fault.Field{
		{Field: "recipients[0]." + clip("variables."+long), Rule: "missing_variable"},
		{Field: "recipients[1]." + clip("variables."+long), Rule: "missing_variable"},
	}
	for i := range want {
		want[i].Message = "The variable " + head + " has no value, and the template has no default for it."
	}
	if diff := cmp.Diff(want, fault.As(err).Details()["fields"]); diff != "" {
		t.Error(diff)
	}
}

func clip(s string) string { return strings.ToValidUTF8(s[:128], "") }

// Who mends a row needs what it said.
func TestARowThatCannotBeSentKeepsItsVariables(t *testing.T) {
	w := closed(newWorld(t))
	name := func(v string) bulk.Row {
		return bulk.Row{To: number(1), Names: []string{"name", "note"}, Values: []string{v, "n"}}
	}
	invalid, faulty := name("a"), name("b")
	invalid.To = "12345"
	faulty.Fault = &bulk.RowFault{Row: 3, Column: "variables.x", Code: "INVALID_ROW", Message: "It is not a text."}
	b := w.accept(w.draft(0, func(d *bulk.Draft) {
		d.Content, d.Options.SkipInvalid = text("Hi {{name}}"), true
		d.Rows = rows{name("sent"), invalid, faulty, name(""), name(strings.Repeat("x", messaging.MaxTextBytes)), name(strings.Repeat("x", 128<<10))}
	}))
	type kept struct{ Reason, Variables string }
	var got []kept
	for _, row := range w.stored(b) {
		got = append(got, kept{row.Reason, string(row.Variables)})
	}
	want := []kept{
		{"", `{"name":"sent","note":"n"}`},
		{"INVALID_RECIPIENT", `{"name":"a","note":"n"}`},
		{"INVALID_ROW", `{"name":"b","note":"n"}`},
		{"MISSING_VARIABLE", `{"note":"n"}`},
		{"TEXT_TOO_LONG", `{"name":"` + strings.Repeat("x", messaging.MaxTextBytes) + `","note":"n"}`},
		{"TEXT_TOO_LONG", ""}, // more than is kept of any row
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The answer to a bulk says of its begin what its event says.
func TestABulkThatRunsAtOnceHasStarted(t *testing.T) {
	w := closed(newWorld(t))
	b := w.accept(w.draft(1))
	if b.State != messaging.BulkRunning || !b.StartedAt.Equal(b.CreatedAt) || b.StartedAt.IsZero() {
		t.Errorf("a bulk that is %s started at %s", b.State, b.StartedAt)
	}
	if diff := cmp.Diff(w.state(b), b); diff != "" {
		t.Errorf("it is stored otherwise than it was answered:\n%s", diff)
	}
	b = w.accept(w.draft(1, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Hour) }))
	if b.State != messaging.BulkScheduled || !b.StartedAt.IsZero() {
		t.Errorf("a bulk that is %s started at %s", b.State, b.StartedAt)
	}
}

func TestWhoGoesAwayDuringTheStagingLeavesNothing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.memory.setFail(func(op string) error {
		if op == "StageBulk" {
			cancel()
		}
		return nil
	})
	if _, err := w.service.Accept(ctx, w.draft(1300)); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept = %v, want %v", err, context.Canceled)
	}
	if len(w.memory.bulks)+len(w.memory.staged) > 0 {
		t.Error("something is stored")
	}
}
