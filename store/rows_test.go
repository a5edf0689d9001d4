package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"portaria/internal/testpg"
)

// What is the same in all rows of a statement is given once. Which columns are
// must make no difference to what is written: nobody would look for one caller's
// value in the row of another.
func TestRowsAreWrittenAsTheyAreHoweverMuchAlike(t *testing.T) {
	for engine, o := range map[string]Options{
		"sqlite":   {DataDir: t.TempDir()},
		"postgres": {DataDir: t.TempDir(), DatabaseURL: testpg.Database(t)},
	} {
		t.Run(engine, func(t *testing.T) {
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.w.ExecContext(t.Context(), `CREATE TABLE written (world TEXT, place BIGINT, instance TEXT, caller BIGINT, id TEXT)`); err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(rt *rapid.T) {
				want := drawRows(rt)
				if err := s.inWriteTx(t.Context(), func(tx *sqlx.Tx) error {
					if _, err := tx.ExecContext(t.Context(), "DELETE FROM written"); err != nil {
						return err
					}
					return txConn{s, tx}.write(t.Context(), insertWritten, addressed(rt, want))
				}); err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(want, readWritten(rt, s)); diff != "" {
					rt.Errorf("written (-want +got):\n%s", diff)
				}
			})
		})
	}
}

var insertWritten = &rows{
	head:    insertInto + `written (world, place, instance, caller, id) `,
	columns: []kind{text.of(byWorld), number, text.of(byInstance), number.of(byCaller), text},
}

// drawRows returns rows of insertWritten with columns that often hold the same.
func drawRows(rt *rapid.T) (args []any) {
	world, caller, instance := rapid.IntRange(0, 1), rapid.IntRange(0, 1), rapid.IntRange(0, 1)
	if rapid.Bool().Draw(rt, "one world") {
		world = rapid.Just(0)
	}
	if rapid.Bool().Draw(rt, "one caller") {
		caller = rapid.Just(0)
	}
	if rapid.Bool().Draw(rt, "one instance") {
		instance = rapid.Just(0)
	}
	for i := range rapid.IntRange(1, 150).Draw(rt, "rows") {
		args = append(args, fmt.Sprint("w", world.Draw(rt, "world")), int64(i), fmt.Sprint("i", instance.Draw(rt, "instance")),
			int64(caller.Draw(rt, "caller")), []string{"", "plain", `"{\,`, "ação"}[i%4])
	}
	return args
}

// addressed gives some texts by their addresses.
func addressed(rt *rapid.T, args []any) []any {
	out := slices.Clone(args)
	every := rapid.IntRange(1, 5).Draw(rt, "of so many texts one is given by its address")
	for i, v := range out {
		if s, ok := v.(string); ok && i%every == 0 {
			out[i] = &s
		}
	}
	return out
}

func readWritten(rt *rapid.T, s *Store) (got []any) {
	found, err := s.r.Queryx("SELECT world, place, instance, caller, id FROM written ORDER BY place")
	if err != nil {
		rt.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var world, instance, id string
		var place, caller int64
		if err := found.Scan(&world, &place, &instance, &caller, &id); err != nil {
			rt.Fatal(err)
		}
		got = append(got, world, place, instance, caller, id)
	}
	if err := found.Err(); err != nil {
		rt.Fatal(err)
	}
	return got
}
