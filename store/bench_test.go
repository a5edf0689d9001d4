package store_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// each runs a benchmark on both engines with 64 callers, as a busy server has.
func each(b *testing.B, f func(b *testing.B, s *store.Store, i messaging.Instance)) {
	for _, engine := range storetest.Engines {
		b.Run(engine, func(b *testing.B) {
			s := storetest.Open(b, storetest.Options(b, engine))
			i := storetest.Instance(b, s, storetest.Workspace(b, s, "w"), "one")
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			f(b, s, i)
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, i messaging.Instance) {
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				m := storetest.Message(i, fmt.Sprintf("1202555%04d", n%1000), "Your order 12345 has been shipped and will arrive tomorrow")
				if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkLife is a message from its acceptance to read.
func BenchmarkLife(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, i messaging.Instance) {
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				m := storetest.Message(i, fmt.Sprintf("1202555%04d", n%1000), "Your order 12345 has been shipped and will arrive tomorrow")
				if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
					b.Error(err)
				}
				for _, status := range []messaging.Status{messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead} {
					err := s.Report(context.Background(), messaging.StatusChange{
						WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: status, At: time.Now(), Attempts: 1,
					})
					if err != nil {
						b.Error(err)
					}
				}
			}
		})
	})
}

// BenchmarkAcceptTold is BenchmarkAccept where one endpoint is told of each
// message.
func BenchmarkAcceptTold(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, i messaging.Instance) {
		storetest.Endpoint(b, s, messaging.NewTenancy(i.WorkspaceID, i.Environment, messaging.AllInstances()))
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				m := storetest.Message(i, fmt.Sprintf("1202555%04d", n%1000), "Your order 12345 has been shipped and will arrive tomorrow")
				if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkAttempted is the result of a delivery, as 64 lanes report them.
func BenchmarkAttempted(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, i messaging.Instance) {
		b.StopTimer()
		e := storetest.Endpoint(b, s, messaging.NewTenancy(i.WorkspaceID, i.Environment, messaging.AllInstances()))
		var records []messaging.Record
		for n := range b.N {
			records = append(records, messaging.CallReceived{
				WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Call: messaging.Call{ID: strconv.Itoa(n), At: time.Now()},
			})
			if len(records) == 500 || n == b.N-1 {
				if err := s.Report(context.Background(), records...); err != nil {
					b.Fatal(err)
				}
				records = nil
			}
		}
		queued := storetest.Deliveries(b, s, e)
		var next atomic.Int64
		b.StartTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := s.Attempted(context.Background(), tried(queued[next.Add(1)-1], webhooks.Delivered)); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
