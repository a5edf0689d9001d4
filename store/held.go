package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// Where every statement is a journey to another process, the writes of a
// transaction are held back and go together, as the parts of one statement. If
// nothing before them needed a transaction, that statement is the whole of it.

// held is a write that has not been sent yet.
type held struct {
	part

	count int64 // of its rows
	args  []any // as the engine takes them
}

// part is a write as a part of a statement.
type part struct {
	rows  *rows
	alike likeness
}

// maxHeld is how many different writes one statement can carry: as many as there
// are in the busiest transaction. One more would cost it two journeys.
const maxHeld = 20

// composition names a statement of several parts.
type composition [maxHeld]part

// hold keeps a write back.
func (b *batchConn) hold(ctx context.Context, r *rows, args []any) error {
	if len(args) == 0 {
		return nil
	}
	if len(b.held) == maxHeld {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	return b.store.engine.each(r, args, func(p piece) error {
		b.held = append(b.held, held{part{r, p.alike}, int64(p.rows), p.args})
		return nil
	})
}

// flush sends what is held, inside a transaction: there is more to come.
func (b *batchConn) flush(ctx context.Context) error {
	if len(b.held) == 0 {
		return nil
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	return b.send(ctx)
}

// send runs what is held as one statement.
func (b *batchConn) send(ctx context.Context) error {
	var c composition
	var args, exact []any
	for i, h := range b.held {
		c[i] = h.part
		args = append(args, h.args...)
		if h.rows.exact {
			exact = append(exact, h.count)
		}
	}
	b.held = b.held[:0]
	text, ok := b.composed[c]
	if !ok {
		text = compose(c)
		b.composed[c] = text
	}
	s, err := b.stmt(ctx, text) //nolint:sqlclosecheck // it is kept for the next batch
	if err != nil {
		return err
	}
	if _, err = s.ExecContext(ctx, append(args, exact...)...); isDivision(err) {
		return errStale // verdict
	}
	return err
}

// compose writes the statement of several parts. All of them see the database
// as it was before, so no part may touch a row that another one writes.
func compose(c composition) string {
	var parts []string
	params := 0
	heads := false
	for i, p := range c {
		r := p.rows
		if r == nil {
			break
		}
		text := r.head + r.unnest(params, p.alike) + r.tail
		params += len(r.columns)
		if r == advanceHeads {
			heads = true
		} else if r == insertEvents && heads {
			text += afterHeads
		}
		parts = append(parts, r.named(i)+" AS (\n"+text+")")
	}
	return "WITH " + strings.Join(parts, ",\n") + "\n" + verdict(c, params)
}

// verdict ends a statement of several parts: it divides by zero when one of them
// does not meet as many rows as the parameters behind all others say.
func verdict(c composition, params int) string {
	var met []string
	for i, p := range c {
		if p.rows != nil && p.rows.exact {
			params++
			met = append(met, fmt.Sprintf("(SELECT COUNT(*) FROM %s) = CAST($%d AS BIGINT)", p.rows.named(i), params))
		}
	}
	if len(met) == 0 {
		return "SELECT WHERE FALSE"
	}
	return "SELECT WHERE 1 / CASE WHEN " + strings.Join(met, " AND ") + " THEN 1 ELSE 0 END = 0"
}

// named is what a part of a statement is called in it.
func (r *rows) named(index int) string {
	return cmp.Or(r.name, fmt.Sprintf("part%d", index+1))
}
