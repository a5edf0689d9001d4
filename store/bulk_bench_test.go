package store_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

// BenchmarkAcceptBesideBulk is what one caller who hands in messages now and then
// waits for, alone and while bulks are accepted, turned and reported as fast as
// the store takes them.
func BenchmarkAcceptBesideBulk(b *testing.B) {
	for _, engine := range storetest.Engines {
		for _, beside := range []struct {
			name string
			load func(*flood)
		}{{"quiet", func(*flood) {}}, {"staged", (*flood).stage}, {"turned", (*flood).turn}, {"sent", (*flood).send}} {
			b.Run(engine+"/"+beside.name, func(b *testing.B) {
				s := storetest.Open(b, storetest.Options(b, engine))
				tenancy := storetest.Workspace(b, s, "w")
				f := &flood{b: b, s: s, instance: storetest.Instance(b, s, tenancy, "bulk")}
				urgent := storetest.Instance(b, s, tenancy, "urgent")
				f.start(beside.load)
				b.ResetTimer()
				waits := make([]time.Duration, b.N)
				for n := range waits {
					m := storetest.Message(urgent, "12025550001", "Your code is 123456")
					m.Priority = messaging.High
					begun := time.Now()
					if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
						b.Fatal(err)
					}
					waits[n] = time.Since(begun)
					time.Sleep(time.Millisecond) // others hand in nothing either
				}
				b.StopTimer()
				rows := f.stop()
				slices.Sort(waits)
				b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(rows, "rows/s")
			})
		}
	}
}

// flood is the writes of bulks, without end.
type flood struct {
	b        *testing.B
	s        *store.Store
	instance messaging.Instance

	begun time.Time
	ended atomic.Bool
	rows  atomic.Int64
	work  sync.WaitGroup
}

func (f *flood) start(load func(*flood)) {
	f.begun = time.Now()
	load(f)
}

// stop returns how many rows went by in a second.
func (f *flood) stop() float64 {
	f.ended.Store(true)
	f.work.Wait()
	return float64(f.rows.Load()) / time.Since(f.begun).Seconds()
}

// stage accepts bulks of 100,000 rows in chunks of 500.
func (f *flood) stage() {
	rows := storetest.BulkRows(500)
	chunk := storetest.OneChunk(f.b, rows)
	f.work.Go(func() {
		for n := 0; !f.ended.Load(); n++ {
			id := messaging.NewID(messaging.BulkPrefix, time.Now())
			for chunk.First = 1; chunk.First < 100_000 && !f.ended.Load(); chunk.First += 500 {
				if err := f.s.StageBulk(context.Background(), id, chunk); err != nil {
					f.b.Error(err)
				}
				f.rows.Add(500)
			}
		}
	})
}

// turn gives the rows of two bulks their turns, 32 at a time.
func (f *flood) turn() { f.turns(func([]messaging.Record) {}) }

// send does what turn does, and has the messages sent, delivered and read in
// batches such as the lanes and the simulated network report.
func (f *flood) send() {
	f.turns(func(records []messaging.Record) {
		if err := f.s.Report(context.Background(), records...); err != nil {
			f.b.Error(err)
		}
	})
}

func (f *flood) turns(report func([]messaging.Record)) {
	const all, batch = 100_000, 32
	for range 2 {
		f.work.Go(func() {
			for !f.ended.Load() {
				bk := f.created(all)
				reports := make(chan []messaging.Record, 1)
				f.work.Go(func() {
					for records := range reports {
						report(records)
					}
				})
				var gathered []messaging.Record
				for from := int64(1); from < all && !f.ended.Load(); from += batch {
					gathered = append(gathered, f.step(bk, from, batch)...)
					if len(gathered) >= 16*batch*3 {
						reports <- gathered
						gathered = nil
					}
				}
				close(reports)
			}
		})
	}
}

// created makes a bulk of rows that nobody will read.
func (f *flood) created(rows int) messaging.Bulk {
	b := storetest.NewBulk(rows, f.instance)
	chunk := bulk.Chunk{First: 1, Rows: rows, Data: []byte("[]")}
	if err := f.s.StageBulk(context.Background(), b.ID, chunk); err != nil {
		f.b.Error(err)
	}
	if err := f.s.CreateBulk(context.Background(), b, nil, func() {}); err != nil {
		f.b.Error(err)
	}
	return b
}

// step gives some rows their turn and returns what becomes of their messages.
func (f *flood) step(b messaging.Bulk, from, n int64) (records []messaging.Record) {
	rows := storetest.BulkRows(int(n))
	for i := range rows {
		rows[i].Number = from + int64(i)
	}
	turn := storetest.NewTurn(b, rows, f.instance, time.Now())
	if err := f.s.Turn(context.Background(), turn, func(bulk.Turned) {}); err != nil {
		f.b.Error(err)
	}
	f.rows.Add(n)
	for _, status := range []messaging.Status{messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead} {
		for _, r := range turn.Rows {
			records = append(records, messaging.StatusChange{
				WorkspaceID: b.WorkspaceID, Environment: b.Environment, MessageID: r.Message.ID, Status: status, At: time.Now(), Attempts: 1,
			})
		}
	}
	return records
}
