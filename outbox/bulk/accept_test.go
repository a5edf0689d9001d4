package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// closed keeps the lanes from taking anything, so that a bulk stays as it was
// accepted.
func closed(w *world) *world {
	w.lanes.setClosed("ins_a", true)
	return w
}

// stored returns the rows of a bulk as they were stored.
func (w *world) stored(b messaging.Bulk) (out []bulk.StoredRow) {
	w.t.Helper()
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	for _, c := range w.memory.bulks[b.ID].chunks {
		rows, err := c.Decode()
		if err != nil {
			w.t.Fatal(err)
		}
		if len(rows) != c.Rows || rows[0].Number != c.First || c.Rows > 500 {
			w.t.Errorf("a chunk of %d rows from %d says that it has %d from %d", len(rows), rows[0].Number, c.Rows, c.First)
		}
		out = append(out, rows...)
	}
	return out
}

func TestEveryRowOfABulkIsStoredAsItWasGiven(t *testing.T) {
	w := closed(newWorld(t))
	given := numbers(1234)
	given[0].Names, given[0].Values = nil, nil
	given[1].Names, given[1].Values = []string{"name", "with \"quotes\""}, []string{"Zoé \\ \u2028", "\x00"}
	b := w.accept(w.draft(0, func(d *bulk.Draft) { d.Rows = given }))
	if diff := cmp.Diff(messaging.BulkCounts{Total: 1234, Queued: 1234}, b.Counts); diff != "" {
		t.Error(diff)
	}
	if b.State != messaging.BulkRunning || b.Pending != 1234 || b.Next != 1 || !slices.Equal(b.InstanceIDs, []string{"ins_a"}) {
		t.Errorf("bulk = %+v", b)
	}
	got := w.stored(b)
	if len(got) != len(given) {
		t.Fatalf("%d rows are stored, want %d", len(got), len(given))
	}
	for i, row := range got {
		if row.Number != int64(i+1) || row.Input != given[i].To || row.WAID != given[i].To+"@s.whatsapp.net" || row.Reason != "" {
			t.Fatalf("row %d = %+v", i, row)
		}
	}
	if want := `{"name":"Zoé \\ ` + "\u2028" + `","with \"quotes\"":"\u0000"}`; string(got[1].Variables) != want {
		t.Errorf("variables = %s, want %s", got[1].Variables, want)
	}
	if len(got[0].Variables) != 0 {
		t.Errorf("a row without variables has %s", got[0].Variables)
	}
}

// broken are rows each of which is wrong in another way, but for the last two.
func broken() rows {
	long := strings.Repeat("x", messaging.MaxTextBytes)
	return rows{
		{To: "12345", Names: []string{"name"}, Values: []string{"a"}},
		{To: "15005550001", Names: []string{"name"}, Values: []string{"a"}},
		{To: number(1)},
		{To: number(2), Names: []string{"name"}, Values: []string{long}},
		{To: number(3), Fault: &bulk.RowFault{Row: 5, Column: "variables.name", Code: "TYPE", Message: "It is not a text."}},
		{To: number(4), Names: []string{"name"}, Values: []string{"a"}},
		{To: "+" + number(4), Names: []string{"name"}, Values: []string{"b"}}, // a duplicate is no fault
	}
}

func TestABulkWithInvalidRowsIsRefusedWithAReport(t *testing.T) {
	w := newWorld(t)
	paid := false
	_, err := w.service.Accept(t.Context(), w.draft(0, func(d *bulk.Draft) {
		d.Content, d.Rows = text("Hi {{name}}"), broken()
		d.Pay = func(int) error { paid = true; return nil }
	}))
	if !errors.Is(err, fault.ErrValidation) {
		t.Fatalf("Accept = %v, want a validation fault", err)
	}
	details := fault.As(err).Details()
	if details["rows"] != int64(7) || details["invalid"] != int64(5) {
		t.Errorf("details = %v", details)
	}
	want := []fault.Field{
		{Field: "recipients[0].to", Rule: "invalid_recipient", Message: "The recipient is not a phone number in international form, nor a WhatsApp id."},
		{Field: "recipients[1].to", Rule: "invalid_recipient", Message: "The recipient is not a phone number in international form, nor a WhatsApp id."},
		{Field: "recipients[2].variables.name", Rule: "missing_variable", Message: "The variable name has no value, and the template has no default for it."},
		{Field: "recipients[3]", Rule: "text_too_long", Message: "The row makes a text longer than 65536 bytes."},
		{Field: "recipients[4].variables.name", Rule: "type", Message: "It is not a text."},
	}
	if diff := cmp.Diff(want, details["fields"]); diff != "" {
		t.Error(diff)
	}
	if paid || len(w.memory.bulks) > 0 || len(w.memory.staged) > 0 {
		t.Error("a refused bulk was paid for, or stored")
	}
}

// A person at a spreadsheet looks for a line and the name of a column.
func TestAFaultInAFileIsToldByItsLineAndColumn(t *testing.T) {
	w := newWorld(t)
	_, err := w.service.Accept(t.Context(), w.draft(0, func(d *bulk.Draft) {
		d.Content = text("Hi {{name}}")
		d.Rows = rows{
			{Line: 2, To: "none", Column: func(v string) string { return map[string]string{"to": "Phone", "name": "Nome"}[v] }},
			{Line: 4, To: number(1), Column: func(v string) string { return map[string]string{"to": "Phone", "name": "Nome"}[v] }},
		}
	}))
	want := []fault.Field{
		{Field: "file", Rule: "invalid_recipient", Message: "row 1 (line 2), column Phone: The recipient is not a phone number in international form, nor a WhatsApp id."},
		{Field: "file", Rule: "missing_variable", Message: "row 2 (line 4), column Nome: The variable name has no value, and the template has no default for it."},
	}
	if diff := cmp.Diff(want, fault.As(err).Details()["fields"]); diff != "" {
		t.Error(diff)
	}
}

func TestInvalidRowsAreSkippedWhenThatIsAskedFor(t *testing.T) {
	w := closed(newWorld(t))
	paid := 0
	b := w.accept(w.draft(0, func(d *bulk.Draft) {
		d.Content, d.Rows, d.Options.SkipInvalid = text("Hi {{name}}"), broken(), true
		d.Pay = func(n int) error { paid = n; return nil }
	}))
	if paid != 1 {
		t.Errorf("%d recipients were paid for, want 1", paid)
	}
	if diff := cmp.Diff(messaging.BulkCounts{Total: 7, Queued: 1, Skipped: 6}, b.Counts); diff != "" {
		t.Error(diff)
	}
	var reasons []string
	for _, row := range w.stored(b) {
		reasons = append(reasons, row.Reason)
	}
	want := []string{"INVALID_RECIPIENT", "INVALID_RECIPIENT", "MISSING_VARIABLE", "TEXT_TOO_LONG", "INVALID_ROW", "", "DUPLICATE"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
}

func TestDuplicatesAreOnePersonHoweverTheNumberIsWritten(t *testing.T) {
	given := rows{{To: "5511987654321"}, {To: "+55 11 8765-4321"}, {To: "5511987654321@c.us"}, {To: "5511987654322"}}
	for _, dedupe := range []bool{true, false} {
		w := closed(newWorld(t))
		b := w.accept(w.draft(0, func(d *bulk.Draft) { d.Rows, d.Options.Dedupe = given, dedupe }))
		want := messaging.BulkCounts{Total: 4, Queued: 4}
		if dedupe {
			want = messaging.BulkCounts{Total: 4, Queued: 2, Skipped: 2}
		}
		if diff := cmp.Diff(want, b.Counts); diff != "" {
			t.Errorf("dedupe %t:\n%s", dedupe, diff)
		}
	}
}

func TestWhatCannotBeABulkIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bulk.Draft)
		field  string
		rule   string
	}{
		"no rows":       {func(d *bulk.Draft) { d.Rows = rows{} }, "recipients", "required"},
		"too many rows": {func(d *bulk.Draft) { d.Rows = numbers(messaging.MaxBulkRows + 1) }, "recipients", "max"},
		"no row that can be sent": {func(d *bulk.Draft) {
			d.Rows, d.Options.SkipInvalid = rows{{To: "none"}}, true
		}, "recipients[0].to", "invalid_recipient"},
		"a poll with equal answers": {func(d *bulk.Draft) {
			d.Content = messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: "?", Options: []string{"{{a}}", "{{b}}"}}}
			d.Rows = rows{{To: number(1), Names: []string{"a", "b"}, Values: []string{"yes", "yes"}}}
		}, "recipients[0]", "invalid_row"},
		"an empty text": {func(d *bulk.Draft) {
			d.Content, d.Rows = text("{{a|}} "), rows{{To: number(1)}}
		}, "recipients[0]", "invalid_row"},
		"variables without end": {func(d *bulk.Draft) {
			d.Rows = rows{{To: number(1), Names: []string{"unused"}, Values: []string{strings.Repeat("x", 128<<10)}}}
		}, "recipients[0]", "invalid_row"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.service.Accept(t.Context(), w.draft(1, c.change))
			if !errors.Is(err, fault.ErrValidation) {
				t.Fatalf("Accept = %v, want a validation fault", err)
			}
			fields := fault.As(err).Details()["fields"].([]fault.Field)
			if len(fields) != 1 || fields[0].Field != c.field || fields[0].Rule != c.rule {
				t.Errorf("fields = %+v, want %s %s", fields, c.field, c.rule)
			}
			if len(w.memory.bulks) > 0 || len(w.memory.staged) > 0 {
				t.Error("it was stored")
			}
		})
	}
}

// Only the last commit makes a bulk real. Whatever fails before it leaves nothing
// behind: no rows, no file, no payment for what was refused.
func TestABulkIsAcceptedWholeOrNotAtAll(t *testing.T) {
	away := errors.New("the database is away")
	for name, c := range map[string]struct {
		change func(*bulk.Draft)
		fail   func(op string) error
	}{
		"it cannot be paid for": {func(d *bulk.Draft) { d.Pay = func(int) error { return away } }, nil},
		"its claim cannot be":   {func(d *bulk.Draft) { d.ClaimFor = func(messaging.Bulk) (*messaging.Claim, error) { return nil, away } }, nil},
		"the upload breaks off": {func(d *bulk.Draft) { d.Rows = breaking{d.Rows, away} }, nil},
		"the last chunk is not written": {nil, func() func(string) error {
			n := 0
			return func(op string) error {
				if op == "StageBulk" {
					if n++; n == 3 {
						return away
					}
				}
				return nil
			}
		}()},
		"the bulk is not written": {nil, func(op string) error {
			if op == "CreateBulk" {
				return away
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.fail != nil {
				w.memory.setFail(c.fail)
			}
			if c.change == nil {
				c.change = func(*bulk.Draft) {}
			}
			if _, err := w.service.Accept(t.Context(), w.draft(1300, c.change)); !errors.Is(err, away) {
				t.Fatalf("Accept = %v, want %v", err, away)
			}
			if len(w.memory.bulks) > 0 || len(w.memory.staged) > 0 {
				t.Error("something was stored")
			}
		})
	}
}

// breaking are rows of an upload that ends in the middle.
type breaking struct {
	bulk.Rows
	err error
}

func (b breaking) Each(ctx context.Context, f func(*bulk.Row) error) error {
	if err := b.Rows.Each(ctx, f); err != nil {
		return err
	}
	return b.err
}

func TestAcceptingLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	w := closed(newWorld(t))
	w.service.Stop()
	w.service = bulk.New(bulk.Options{
		Store: w.memory, Outbox: w.lanes, Reporter: w.memory, Channels: w.lanes, Dir: dir,
		Clocks: func(messaging.World) messaging.Clock { return w.clock }, Instance: w.find,
	})
	t.Cleanup(w.service.Stop)
	w.accept(w.draft(600))
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTheClaimIsStoredWithTheBulkThatItAnswersWith(t *testing.T) {
	w := closed(newWorld(t))
	var claimed messaging.Bulk
	b := w.accept(w.draft(3, func(d *bulk.Draft) {
		d.ClaimFor = func(b messaging.Bulk) (*messaging.Claim, error) {
			claimed = b
			return &messaging.Claim{Scope: "scope"}, nil
		}
	}))
	if diff := cmp.Diff(b, claimed); diff != "" {
		t.Error(diff)
	}
	if len(w.memory.claims) != 1 || w.memory.claims[0].Scope != "scope" {
		t.Errorf("claims = %v", w.memory.claims)
	}
}

func TestLiveBulksDoNotGoToTheSandbox(t *testing.T) {
	w := newWorld(t)
	_, err := w.service.Accept(t.Context(), w.draft(0, func(d *bulk.Draft) {
		d.Tenancy = messaging.NewTenancy("wsp_one", messaging.Live, messaging.AllInstances())
		d.Rows = rows{{To: "15005550006"}}
	}))
	fields := fault.As(err).Details()["fields"].([]fault.Field)
	if len(fields) != 1 || fields[0].Rule != "sandbox_recipient" {
		t.Errorf("fields = %+v", fields)
	}
}

// 100,000 recipients are checked and encoded while somebody waits for the answer.
func BenchmarkAcceptChecks(b *testing.B) {
	given := make(rows, messaging.MaxBulkRows)
	for i := range given {
		given[i] = bulk.Row{
			To: number(i), Names: []string{"name", "order", "city", "note"},
			Values: []string{"Maria da Silva", fmt.Sprint(100000 + i), "São Paulo", "leave it at the door"},
		}
	}
	w := closed(newWorld(b))
	for b.Loop() {
		d := w.draft(0, func(d *bulk.Draft) {
			d.Content, d.Rows = text("Hello {{name}}, your order {{order}} to {{city|your city}} is on its way."), given
		})
		if _, err := w.service.Accept(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*messaging.MaxBulkRows/b.Elapsed().Seconds(), "rows/s")
}
