package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// What a reset does with each table. Every table stands in one of these lists.
var (
	clearedByReset = []string{
		"messages", "outbox", "events", "webhook_deliveries", "sandbox_carriages", "sandbox_owed", "bulks", "bulk_instances", "bulk_chunks",
		"bulk_recipients", "opt_outs", "media", "calls", "pace_sends", "pace_numbers", "idempotency_keys", "pairings", "pairing_links",
		"sandbox_runs", "sandbox_seeds", "sandbox_marks",
	}
	keptByReset = []string{
		"workspaces", "api_keys", "api_key_instances", "webhooks", "webhook_instances", // what was set up
		"instances",                       // those that were deleted go
		"sandbox_clocks",                  // the room of the clocks sets it back
		"api_logs",                        // they tell of requests, not of what came of them
		"event_heads",                     // sequences never go back
		"sink_cursors",                    // so these stay good
		"epochs", "installation", "nodes", // of the installation
	}
)

// A table that a later migration adds must be thought of: whose rows a reset
// forgets to clear are found in a world that should be empty.
func TestEveryTableIsClearedByAResetOrKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		thought := slices.Sorted(slices.Values(append(slices.Clone(clearedByReset), keptByReset...)))
		if diff := cmp.Diff(slices.Sorted(slices.Values(tableNames(t, s))), thought); diff != "" {
			t.Errorf("tables, and those that are cleared or kept (-there +thought of):\n%s", diff)
		}
		m := &rowMaker{t: t, s: s}
		test, _ := m.workspace("wsp_1", time.Now())
		for _, r := range worldRows {
			m.make(test, time.Now(), 1, r.texts...)
		}
		m.flush()
		own, _ := readAll(t, s).split(test)
		for _, table := range clearedByReset {
			if len(own[table]) == 0 {
				t.Errorf("the tests make no row of %s", table)
			}
		}
	})
}

// Two workspaces with both worlds, one of them beside the target in any state: a
// reset of the target clears it, and leaves the others, and what is set up, byte
// for byte as they were.
func TestAResetChangesNothingButItsWorld(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		checks := 0
		rapid.Check(t, func(r *rapid.T) {
			checks++
			now := time.Now()
			m := &rowMaker{t: r, s: s}
			target, live := m.workspace(fmt.Sprintf("wsp_a%d", checks), now)
			test2, live2 := m.workspace(fmt.Sprintf("wsp_b%d", checks), now)
			defer emptyAll(r, s)
			other := rapid.SampledFrom([]messaging.World{live, test2, live2}).Draw(r, "other")
			for _, row := range worldRows {
				m.make(target, now, rapid.IntRange(0, 2).Draw(r, row.name), row.texts...)
				if n := rapid.IntRange(0, 1).Draw(r, row.name); other.Environment == messaging.Test || !row.testOnly {
					m.make(other, now, n, row.texts...)
				}
			}
			m.flush()
			ownBefore, before := readAll(r, s).split(target)
			if err := s.ResetSandbox(context.Background(), target.WorkspaceID); err != nil {
				r.Fatal(err)
			}
			own, after := readAll(r, s).split(target)
			if diff := cmp.Diff(before, after); diff != "" {
				r.Errorf("other worlds (-before +after):\n%s", diff)
			}
			ownBefore["instances"] = slices.DeleteFunc(ownBefore["instances"], func(row string) bool { return strings.Contains(row, "id=ins_d") })
			for _, table := range clearedByReset {
				ownBefore[table] = nil
			}
			if diff := cmp.Diff(ownBefore, own); diff != "" {
				r.Errorf("the world that was reset (-want +got):\n%s", diff)
			}
		})
	})
}

// emptyAll deletes what a check has made.
func emptyAll(t rapid.TB, s *Store) {
	t.Helper()
	last := []string{
		"pairings", "pairing_links", "webhook_instances", "bulk_instances", "api_key_instances", "bulks", "webhooks", "api_keys", "media", "opt_outs",
		"sandbox_runs", "sandbox_seeds", "sandbox_clocks", "instances", "workspaces",
	}
	first := slices.DeleteFunc(tableNames(t, s), func(table string) bool {
		return slices.Contains(last, table) || table == "epochs" || table == "installation"
	})
	var texts []string
	for _, table := range append(first, last...) {
		texts = append(texts, `DELETE FROM `+table)
	}
	run(t, s, texts...)
}

// Each transaction deletes a part, so that nobody waits long.
func TestAResetGoesInParts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now()
		m := &rowMaker{t: t, s: s}
		test, live := m.workspace("wsp_1", now)
		const many = sweepChunk + 10
		for _, name := range []string{"waiting", "event", "carriage", "media", "delivery"} {
			m.of(name, test, now, many)
		}
		m.of("message", live, now, 3)
		m.flush()
		var gone []string
		s.MediaGone(func(ids []string) { gone = append(gone, ids...) })
		before := s.commits.Load()
		if err := s.ResetSandbox(t.Context(), "wsp_1"); err != nil {
			t.Fatal(err)
		}
		own, others := readAll(t, s).split(test)
		for _, table := range clearedByReset {
			if n := len(own[table]); n > 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
		if n := len(others["messages"]); n != 3 {
			t.Errorf("%d live messages, want 3", n)
		}
		if len(gone) != many || len(slices.Compact(slices.Sorted(slices.Values(gone)))) != many {
			t.Errorf("%d files were told, want %d", len(gone), many)
		}
		const tables, parts = 7, 2
		if n := s.commits.Load() - before; n < tables*parts {
			t.Errorf("%d transactions for %d tables of %d rows", n, tables, many)
		}
	})
}
