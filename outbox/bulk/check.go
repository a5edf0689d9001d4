package bulk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// maxFaults is how many rows that cannot be sent are told one by one.
const maxFaults = 100

// maxVariables is how many bytes the variables of one row may have as they are
// stored. Those that the template does not use are kept too, for who reads the
// results.
const maxVariables = 128 << 10

// maxStored is how many bytes all rows of a bulk may have as they are stored. An
// upload is smaller, but every row stores the names of its variables, which a file
// has once in its header.
const maxStored = 256 << 20

// ErrRowsTooLarge is the fault of rows that take too much room.
var ErrRowsTooLarge = fault.New(fault.TooLarge, "PAYLOAD_TOO_LARGE",
	"The rows, each with the names and values of its variables, are larger than 256 MiB: "+
		"leave out variables that the template does not use, shorten their names, or send several bulks.")

// maxInput is how many bytes are kept of a recipient that cannot be an address, and
// are told of a name.
const maxInput = 128

// checker goes through the rows of a draft once. It keeps no row, only who was
// there.
type checker struct {
	draft    *Draft
	template *Template
	refuses  func(messaging.Address) bool

	seen   map[string]struct{} // persons, for Options.Dedupe
	hints  []int               // where the variables of the row before stood
	values []string            // of the row, in the order of the template's variables

	total, valid, invalid, duplicates int64
	size                              int64 // bytes of the rows as they are stored
	faults                            []RowFault
}

func newChecker(d *Draft, refuses func(messaging.Address) bool) (*checker, error) {
	t, err := Compile(d.Content)
	if err != nil {
		return nil, err
	}
	n := len(t.Variables())
	c := &checker{draft: d, template: t, refuses: refuses, hints: make([]int, n), values: make([]string, n)}
	if d.Options.Dedupe {
		c.seen = make(map[string]struct{})
	}
	return c, nil
}

// judged is a row with what the checker makes of it. It is valid until the next
// one.
type judged struct {
	stored  StoredRow
	encoded []byte            // stored, as a chunk holds it
	to      messaging.Address // of a row that can be sent
	person  string            // the same
}

// run judges every row and has each take the judgement.
func (c *checker) run(ctx context.Context, take func(*judged) error) error {
	var j judged
	err := c.draft.Rows.Each(ctx, func(row *Row) error {
		if c.total == messaging.MaxBulkRows {
			return errTooMany()
		}
		c.total++
		j = judged{stored: StoredRow{Number: c.total, Variables: j.stored.Variables[:0]}, encoded: j.encoded[:0]}
		c.judge(row, &j)
		j.encoded = j.stored.append(j.encoded)
		if c.size += int64(len(j.encoded)); c.size > maxStored {
			return ErrRowsTooLarge
		}
		return take(&j)
	})
	if err != nil {
		return err
	}
	if c.total == 0 {
		return fault.Fields{{Field: "recipients", Rule: "required", Message: "must have at least one row"}}.Err()
	}
	return nil
}

func errTooMany() error {
	return fault.Fields{{
		Field: "recipients", Rule: "max", Message: fmt.Sprintf("must not have more than %d rows", messaging.MaxBulkRows),
	}}.Err()
}

// judge decides about one row. One that cannot be sent keeps its variables too:
// who mends it reads them in the results.
func (c *checker) judge(row *Row, j *judged) {
	j.stored.Input = clipped(row.To)
	variables, fit := appendVariables(j.stored.Variables, row.Names, row.Values)
	j.stored.Variables = variables
	f := row.Fault
	if f == nil {
		f = c.recipient(row, j)
	}
	if f == nil {
		f = c.content(row)
	}
	if f == nil && !fit {
		f = row.fault("", messaging.SkippedUnfit, "The variables of the row have more than 128 KiB.")
	}
	if f != nil {
		c.refuse(f, j)
		return
	}
	j.stored.WAID, j.person = j.to.WAID, messaging.Person(j.to.WAID)
	if c.repeats(j.person) {
		c.duplicates++
		j.stored.Reason, j.stored.Why = messaging.SkippedDuplicate, "The recipient stands in an earlier row."
		return
	}
	c.valid++
}

// refuse notes a row that cannot be sent.
func (c *checker) refuse(f *RowFault, j *judged) {
	c.invalid++
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, *f)
	}
	j.stored.Reason, j.stored.Why = reasonOf(f.Code), f.Message
}

// reasonOf is the reason under which a row is skipped; what only its reader knows
// is no reason that programs rely on.
func reasonOf(code string) string {
	switch code {
	case messaging.SkippedInvalid, messaging.SkippedSandbox, messaging.SkippedVariable, messaging.SkippedTooLong:
		return code
	default:
		return messaging.SkippedUnfit
	}
}

// recipient reads who a row is for.
func (c *checker) recipient(row *Row, j *judged) *RowFault {
	to, err := outbox.ParseRecipient(row.To)
	env := c.draft.Tenancy.Environment()
	switch {
	case err == nil && env == messaging.Live && to.IsSandboxNumber():
		err = outbox.ErrSandboxRecipient
	case err == nil && env == messaging.Test && c.refuses(to):
		err = outbox.ErrInvalidRecipient
	}
	if err == nil {
		j.to = to
		return nil
	}
	f := fault.As(err)
	return row.fault("to", f.Code(), f.Message())
}

// content checks what a row says.
func (c *checker) content(row *Row) *RowFault {
	for i, name := range c.template.Variables() {
		c.values[i] = row.value(name, &c.hints[i])
	}
	reason, variable, wrong := c.template.check(c.values)
	if reason == "" {
		return nil
	}
	if variable == "" {
		return row.fault("", reason, "The row "+wrong+".")
	}
	return row.fault(variable, reason, "The variable "+clipped(variable)+" "+wrong+".")
}

// repeats reports whether a person was there before, when that matters.
func (c *checker) repeats(person string) bool {
	if c.seen == nil {
		return false
	}
	if _, ok := c.seen[person]; ok {
		return true
	}
	c.seen[person] = struct{}{}
	return false
}

// value returns a variable of the row. The rows of a file have theirs in the same
// places, so the hint says where it was last.
func (r *Row) value(name string, hint *int) string {
	if *hint < len(r.Names) && r.Names[*hint] == name {
		return r.Values[*hint]
	}
	for i := range r.Names {
		if r.Names[i] == name {
			*hint = i
			return r.Values[i]
		}
	}
	return ""
}

// fault is about a variable of the row, its recipient ("to"), or the whole row.
func (r *Row) fault(variable, code, message string) *RowFault {
	column := variable
	switch {
	case variable == "":
	case r.Column != nil:
		column = r.Column(variable)
	case r.Line == 0 && variable != "to":
		column = "variables." + variable
	}
	return &RowFault{Row: r.Number, Line: r.Line, Column: clipped(column), Code: code, Message: message}
}

// clipped is the head of what a caller has written as a recipient, or as a name.
func clipped(s string) string {
	if len(s) <= maxInput {
		return s
	}
	n := maxInput
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// refusal is the fault of rows that cannot be sent.
func (c *checker) refusal() error {
	fields := make(fault.Fields, len(c.faults))
	for i := range c.faults {
		fields[i] = c.faults[i].field()
	}
	refused := fault.As(fields.Err())
	if refused == nil {
		return errors.New("no row is at fault")
	}
	return refused.With("rows", c.total).With("invalid", c.invalid)
}

// field tells a fault as the API does: in the words of a JSON document, or of a
// file.
func (f *RowFault) field() fault.Field {
	out := fault.Field{Rule: strings.ToLower(f.Code), Message: f.Message}
	if f.Line == 0 {
		out.Field = fmt.Sprintf("recipients[%d]", f.Row-1)
		if f.Column != "" {
			out.Field += "." + f.Column
		}
		return out
	}
	out.Field = "file"
	place := fmt.Sprintf("row %d (line %d)", f.Row, f.Line)
	if f.Column != "" {
		place += ", column " + f.Column
	}
	out.Message = place + ": " + f.Message
	return out
}
