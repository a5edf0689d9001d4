package store

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/sandbox"
)

func TestTestWorldsAreKeptForSevenDaysAndLiveOnesForGood(t *testing.T) {
	const day = 24 * time.Hour
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now().Truncate(time.Second)
		m := &rowMaker{t: t, s: s}
		test, live := m.workspace("wsp_1", now.Add(-9*day))
		kinds := []string{"message", "inbound", "waiting", "event", "carriage", "call", "media", "bulk", "running bulk", "run"}
		for _, age := range []time.Duration{8 * day, 6 * day} {
			at := now.Add(-age)
			for _, name := range kinds {
				m.of(name, test, at, 2)
				if name != "carriage" && name != "run" {
					m.of(name, live, at, 2)
				}
			}
			m.flush()
			if err := s.Sweep(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		_, before := readAll(t, s).split(test)
		if err := s.Sweep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		own, after := readAll(t, s).split(test)
		for _, c := range []contents{before, after} {
			delete(c, "sandbox_marks")
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the live world (-before +after):\n%s", diff)
		}
		counts := make(map[string]int)
		for _, table := range slices.Sorted(maps.Keys(own)) {
			if n := len(own[table]); n > 0 && slices.Contains(clearedByReset, table) && table != "sandbox_marks" {
				counts[table] = n
			}
		}
		want := map[string]int{
			"messages": 8, "outbox": 4, "events": 2, "sandbox_carriages": 2, "sandbox_owed": 2, "calls": 2, "media": 2, "bulks": 6, "bulk_instances": 2,
			"bulk_recipients": 2, "bulk_chunks": 6, "sandbox_runs": 2,
		}
		if diff := cmp.Diff(counts, want); diff != "" {
			t.Errorf("rows that are left (-got +want):\n%s", diff)
		}
	})
}

// agedMessage is a message of a certain age.
type agedMessage struct {
	clock   sandbox.SavedClock
	kind    string
	id      time.Duration // how long ago its id was drawn
	place   time.Duration // and it got its place in the outbox
	created time.Duration // and it was made by its world's clock
	sendAt  time.Duration // in how long it is to be sent; 0: at once
	behind  string        // what is true of it besides
	goes    bool
}

// make stores the message, as the only one.
func (c *agedMessage) make(m *rowMaker, w messaging.World, now time.Time) {
	kind, place := "message", micros(now.Add(-c.place))<<nodeBits
	if c.kind != "" {
		kind, place = c.kind, 0
	}
	m.of(kind, w, now, 1)
	id := messaging.NewID(messaging.MessagePrefix, now.Add(-c.id))
	m.made = append(m.made, fmt.Sprintf(`UPDATE messages SET id = '%s', position = %d, created_at = %d`, id, place, micros(now.Add(-c.created))))
	if c.sendAt != 0 {
		m.made = append(m.made, fmt.Sprintf(`UPDATE messages SET send_at = %d`, micros(now.Add(c.sendAt))))
	}
	if c.clock.Mode != "" {
		m.made = append(m.made, fmt.Sprintf(`UPDATE sandbox_clocks SET mode = '%s', offset_us = %d, frozen_at = %d`,
			c.clock.Mode, c.clock.Offset.Microseconds(), micros(c.clock.FrozenAt)))
	}
	switch c.behind {
	case "waits":
		m.made = append(m.made, `INSERT INTO outbox (position, instance_id, priority, workspace_id, environment, message_id, due_at, expires_at)
			SELECT position, instance_id, 2, workspace_id, environment, id, 0, 0 FROM messages`)
	case "owed":
		m.made = append(m.made, `INSERT INTO sandbox_carriages (workspace_id, environment, instance_id, wa_message_id, message_id, peer_input,
				peer_wa_id, kind, content, sandbox, carried_at)
			SELECT workspace_id, environment, instance_id, wa_message_id, id, '', '', 'text', '', '', 1 FROM messages`,
			`INSERT INTO sandbox_owed (id, instance_id, wa_message_id)
			SELECT instance_id || '/' || wa_message_id, instance_id, wa_message_id FROM messages`)
	case "bulk":
		m.of("running bulk", w, now, 1)
		m.made = append(m.made, `UPDATE messages SET bulk_id = (SELECT id FROM bulks)`)
	}
	m.flush()
}

// An id that was drawn from a seed sorts before all others and tells no age, the
// clock of a world may stand anywhere, and some messages are needed however old
// they are.
func TestOnlyMessagesThatAreOldAndOverGo(t *testing.T) {
	const day, seeded = 24 * time.Hour, 50 * 365 * 24 * time.Hour
	frozen := sandbox.SavedClock{Mode: sandbox.Frozen, FrozenAt: time.Now().Add(-20 * day)}
	ahead := sandbox.SavedClock{Mode: sandbox.Real, Offset: 400 * day}
	cases := map[string]agedMessage{
		"old":                              {id: 8 * day, place: 8 * day, created: 8 * day, goes: true},
		"young":                            {id: 6 * day, place: 6 * day, created: 6 * day},
		"waits":                            {id: 8 * day, place: 8 * day, created: 8 * day, behind: "waits"},
		"owed a receipt":                   {id: 8 * day, place: 8 * day, created: 8 * day, behind: "owed"},
		"of a bulk":                        {id: 8 * day, place: 8 * day, created: 8 * day, behind: "bulk"},
		"young, on a frozen clock":         {clock: frozen, id: day, place: day, created: 20 * day},
		"old, on a frozen clock":           {clock: frozen, id: 8 * day, place: 8 * day, created: 20 * day, goes: true},
		"old, on a clock ahead":            {clock: ahead, id: 8 * day, place: 8 * day, created: -392 * day, goes: true},
		"scheduled and sent yesterday":     {id: 8 * day, place: 8 * day, created: 8 * day, sendAt: -day},
		"scheduled, on a clock ahead":      {clock: ahead, id: 8 * day, place: 8 * day, created: -392 * day, sendAt: 390 * day, goes: true},
		"seeded, old":                      {id: seeded, place: 8 * day, created: 8 * day, goes: true},
		"seeded, young":                    {id: seeded, place: 6 * day, created: 6 * day},
		"seeded, young, on a frozen clock": {clock: frozen, id: seeded, place: day, created: 20 * day},
		"inbound, old":                     {kind: "inbound", id: 8 * day, created: 8 * day, goes: true},
		"inbound, seeded, young":           {kind: "inbound", id: seeded, created: 6 * day},
		"inbound, seeded, old":             {kind: "inbound", id: seeded, created: 8 * day, goes: true},
		"inbound, on a frozen clock":       {clock: frozen, kind: "inbound", id: seeded, created: 20 * day},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				defer emptyAll(t, s)
				now := time.Now()
				m := &rowMaker{t: t, s: s}
				test, _ := m.workspace("wsp_1", now)
				c.make(m, test, now)
				if err := s.Sweep(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				if left := readAll(t, s)["messages"]; (len(left) == 0) != c.goes {
					t.Errorf("left: %v; want it gone: %t", left, c.goes)
				}
			})
		}
	})
}

// Events and carriages tell only what the clock of their world said. How old they
// are follows from when they were seen first, to the hour.
func TestEventsAndCarriagesAgeByTheMachinesTime(t *testing.T) {
	const day = 24 * time.Hour
	eachEngine(t, func(t *testing.T, s *Store) {
		began := time.Now().Truncate(time.Second)
		m := &rowMaker{t: t, s: s}
		test, _ := m.workspace("wsp_1", began)
		sweep := func(at time.Duration, want int) {
			t.Helper()
			if err := s.Sweep(t.Context(), began.Add(at)); err != nil {
				t.Fatal(err)
			}
			all := readAll(t, s)
			if events, carriages := len(all["events"]), len(all["sandbox_carriages"]); events != want || carriages != want {
				t.Errorf("after %s: %d events and %d carriages, want %d", at, events, carriages, want)
			}
			if owed := len(all["sandbox_owed"]); owed != want {
				t.Errorf("after %s: %d are owed, want %d", at, owed, want)
			}
		}
		for _, off := range []time.Duration{-400 * day, 400 * day} { // by a clock that stands somewhere
			m.of("event", test, began.Add(off), 2)
			m.of("carriage", test, began.Add(off), 2)
		}
		m.flush()
		sweep(0, 4)
		m.of("event", test, began, 1)
		m.of("carriage", test, began, 1)
		m.flush()
		sweep(30*time.Minute, 5) // within the hour: the next mark tells of these
		sweep(2*time.Hour, 5)
		sweep(7*day-time.Minute, 5)
		sweep(7*day, 1)
		sweep(7*day+time.Hour, 1)
		sweep(7*day+2*time.Hour, 0)
	})
}

// Test events are kept no longer than events are kept at all, and a sink that was
// switched off holds them up for twice as long.
func TestEventsOfTestWorldsWaitForWhoIsToBeTold(t *testing.T) {
	const day = 24 * time.Hour
	eachEngine(t, func(t *testing.T, s *Store) {
		s.eventLife = 2 * day
		began := time.Now().Truncate(time.Second)
		m := &rowMaker{t: t, s: s}
		test, _ := m.workspace("wsp_1", began)
		m.of("event", test, began, 3)
		m.flush()
		first := m.k - 2
		m.made = append(m.made, fmt.Sprintf(`UPDATE sink_cursors SET sequence = %d`, first+1))
		m.of("delivery", test, began, 1)
		m.made = append(m.made, fmt.Sprintf(`UPDATE webhook_deliveries SET state = 'pending', sequence = %d`, first))
		m.flush()
		for _, c := range []struct {
			at   time.Duration
			want []int
		}{{0, []int{first, first + 1, first + 2}}, {2 * day, []int{first, first + 2}}, {4*day - time.Minute, []int{first, first + 2}}, {4 * day, []int{first}}} {
			if err := s.Sweep(t.Context(), began.Add(c.at)); err != nil {
				t.Fatal(err)
			}
			var got []int
			if err := s.r.Select(&got, `SELECT sequence FROM events ORDER BY sequence`); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("after %s: %v are left, want %v", c.at, got, c.want)
			}
		}
		for range 30 { // marks do not heap up
			m.of("event", test, began, 1)
			m.flush()
			began = began.Add(day)
			if err := s.Sweep(t.Context(), began); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(readAll(t, s)["sandbox_marks"]); n > 7 {
			t.Errorf("%d marks", n)
		}
	})
}

// A bulk that ended goes, one that runs stays however old it is, and one whose
// forgetting was broken off goes the next time.
func TestBulksOfTestWorldsGoWhole(t *testing.T) {
	const day = 24 * time.Hour
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now()
		m := &rowMaker{t: t, s: s}
		test, live := m.workspace("wsp_1", now)
		m.of("bulk", test, now.Add(-8*day), 3)
		m.of("bulk", live, now.Add(-8*day), 1)
		m.flush()
		var ids []string
		if err := s.r.Select(&ids, `SELECT id FROM bulks WHERE environment = 'test' ORDER BY id`); err != nil {
			t.Fatal(err)
		}
		again, canceled, broken := ids[0], ids[1], ids[2]
		run(t, s, `UPDATE bulks SET state = 'running' WHERE id = '`+again+`'`,
			`UPDATE bulks SET state = 'canceled', queued = 1 WHERE id = '`+canceled+`'`,
			`DELETE FROM bulk_instances WHERE bulk_id = '`+broken+`'`, `DELETE FROM bulks WHERE id = '`+broken+`'`)
		left := func(want ...string) {
			t.Helper()
			if err := s.Sweep(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			var bulks, recipients []string
			if err := s.r.Select(&bulks, `SELECT id FROM bulks WHERE environment = 'test' ORDER BY id`); err != nil {
				t.Fatal(err)
			}
			if err := s.r.Select(&recipients, `SELECT bulk_id FROM bulk_recipients WHERE environment = 'test' ORDER BY bulk_id`); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(bulks, want) || !slices.Equal(recipients, want) {
				t.Errorf("bulks %v, recipients of %v; want %v", bulks, recipients, want)
			}
		}
		left(again, canceled)
		run(t, s, `UPDATE bulks SET queued = 0 WHERE id = '`+canceled+`'`)
		left(again)
		run(t, s, `UPDATE bulks SET state = 'completed' WHERE id = '`+again+`'`)
		left()
		if n := len(readAll(t, s)["bulks"]); n != 1 {
			t.Errorf("%d bulks of the live world, want 1", n)
		}
	})
}
