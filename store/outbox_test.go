package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

func ref(i messaging.Instance) outbox.LaneRef {
	return outbox.LaneRef{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID}
}

func accept(t *testing.T, s *store.Store, m *messaging.Message) (position int64) {
	t.Helper()
	if err := s.Accept(t.Context(), outbox.Acceptance{Message: m}, func(p int64) { position = p }); err != nil {
		t.Fatalf("accept: %v", err)
	}
	return position
}

func TestAnAcceptedMessageReadsBackAsItWasGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		m := storetest.Message(i, "15005550006", "Olá 👋")
		m.Metadata = []byte(`{"order":17}`)
		m.Sandbox = &messaging.Override{Outcome: "failed", Code: "NOT_ON_WHATSAPP", DelayMS: map[string]int64{"sent": 5}}
		accept(t, s, &m)
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Error(diff)
		}
		due, err := s.Due(t.Context(), ref(i), m.Priority, time.Now(), 10)
		if err != nil || len(due) != 1 || due[0].MessageID != m.ID || due[0].Attempt != 1 {
			t.Errorf("Due = %+v, %v", due, err)
		}
	})
}

// The lanes get messages in the order of their 202; a restart must see the
// same order.
func TestPlacesFollowTheOrderOfCommits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
		var mu sync.Mutex
		var told []string
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				m := storetest.Message(i, "15005550006", fmt.Sprint(n))
				err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {
					mu.Lock()
					told = append(told, m.ID)
					mu.Unlock()
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		due, err := s.Due(t.Context(), ref(i), messaging.Normal, time.Now(), 500)
		if err != nil {
			t.Fatal(err)
		}
		stored := make([]string, len(due))
		for n, p := range due {
			stored[n] = p.MessageID
		}
		if diff := cmp.Diff(told, stored); diff != "" {
			t.Error(diff)
		}
	})
}

// One bad row must not take down the callers that shared its transaction.
func TestABadWriteFailsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		first := storetest.Message(i, "15005550006", "x")
		accept(t, s, &first)
		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() {
				m := storetest.Message(i, "15005550006", "x")
				if n%10 == 0 {
					m.ID = first.ID // violates the primary key
				}
				err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {})
				if (err != nil) != (n%10 == 0) {
					t.Errorf("message %d: %v", n, err)
				}
			})
		}
		wg.Wait()
		got, err := s.Messages(t.Context(), tenancy, messaging.MessageFilter{}, messaging.Page{Limit: 100})
		if err != nil || len(got) != 46 {
			t.Errorf("stored %d messages, %v; want 46", len(got), err)
		}
	})
}

func TestConcurrentClaimsOfOneKeyStoreOneMessage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 20 {
			wg.Go(func() {
				m := storetest.Message(i, "15005550006", "x")
				claim := &messaging.Claim{Scope: "s", RequestHash: "h", Status: 202, Body: []byte(`{"id":"` + m.ID + `"}`)}
				err := s.Accept(context.Background(), outbox.Acceptance{Message: &m, Claim: claim}, func(int64) {})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, store.ErrIdempotencyRace) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, _ := s.Messages(t.Context(), tenancy, messaging.MessageFilter{}, messaging.Page{Limit: 100})
		if won != 1 || len(got) != 1 {
			t.Errorf("%d won, %d stored; want one of each", won, len(got))
		}
		kept, ok, err := s.Claimed(t.Context(), tenancy, "s")
		if err != nil || !ok || string(kept.Body) != `{"id":"`+got[0].ID+`"}` {
			t.Errorf("Claimed = %+v, %v, %v", kept, ok, err)
		}
	})
}

func TestRecordsMoveTheMessageOnceAndLeaveTheOutbox(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		m := storetest.Message(i, "15005550006", "x")
		accept(t, s, &m)
		at := m.CreatedAt.Add(time.Second)
		change := func(status messaging.Status) messaging.Record {
			return messaging.StatusChange{WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: status, At: at, Attempts: 1}
		}
		// A receipt that overtakes the acknowledgement proves it; repeats are harmless.
		for _, status := range []messaging.Status{messaging.StatusRead, messaging.StatusSent, messaging.StatusDelivered, messaging.StatusDelivered, messaging.StatusFailed} {
			if err := s.Report(t.Context(), change(status), change(status)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil || got.Status != messaging.StatusRead || got.SentAt.IsZero() || got.DeliveredAt.IsZero() {
			t.Errorf("message = %+v, %v", got.State, err)
		}
		if lanes, err := s.Lanes(t.Context()); err != nil || len(lanes) != 0 {
			t.Errorf("Lanes = %v, %v; want none", lanes, err)
		}
		events, err := s.Events(t.Context(), tenancy, messaging.EventFilter{MessageID: m.ID}, messaging.Page{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(events)
		var types []string
		for n, e := range events {
			types = append(types, string(e.Type))
			if e.Message == nil || e.Message.ID != m.ID || e.Message.Content.Text.Body != "x" {
				t.Errorf("event %d has message %+v", n, e.Message)
			}
		}
		want := []string{"message.queued", "message.sent", "message.read", "message.delivered"}
		if diff := cmp.Diff(want, types); diff != "" {
			t.Error(diff)
		}
		if events[1].Message.Status != messaging.StatusSent {
			t.Errorf("message.sent shows status %s", events[1].Message.Status)
		}
	})
}

func TestSequencesRiseByOneWithinATenancy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, name := range []string{"a", "b"} {
			tenancy := storetest.Workspace(t, s, name)
			i := storetest.Instance(t, s, tenancy, "one")
			var wg sync.WaitGroup
			for range 30 {
				m := storetest.Message(i, "15005550006", "x")
				wg.Go(func() {
					if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			first, err := s.Events(t.Context(), tenancy, messaging.EventFilter{}, messaging.Page{Limit: 100})
			if err != nil || len(first) != 31 {
				t.Fatalf("%d events, %v; want 31", len(first), err)
			}
			for n, e := range first {
				if want := int64(31 - n); e.Sequence != want {
					t.Errorf("event %d has sequence %d, want %d", n, e.Sequence, want)
				}
			}
			after, err := s.Events(t.Context(), tenancy, messaging.EventFilter{After: first[10].ID}, messaging.Page{Limit: 100})
			if err != nil || len(after) != 10 || after[0].ID != first[9].ID {
				t.Errorf("after: %d events, %v", len(after), err)
			}
		}
	})
}

func TestAnInboundMessageIsRecordedOnceByItsWhatsAppID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		for range 3 {
			m := storetest.Message(i, "15005550019", "echo")
			m.WAMessageID, m.ExpiresAt = "3EB0ECHO", time.Time{}
			if err := s.Report(t.Context(), messaging.InboundMessage{Message: m}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Messages(t.Context(), tenancy, messaging.MessageFilter{Direction: messaging.Inbound}, messaging.Page{Limit: 10})
		if err != nil || len(got) != 1 || got[0].Status != messaging.StatusReceived {
			t.Errorf("inbound = %+v, %v", got, err)
		}
		events, err := s.Events(t.Context(), tenancy, messaging.EventFilter{Type: messaging.EventMessageReceived}, messaging.Page{Limit: 10})
		if err != nil || len(events) != 1 {
			t.Errorf("%d events, %v; want 1", len(events), err)
		}
	})
}

// Nothing of one tenancy can be read through another: not by id, not by list.
func TestTenanciesDoNotSeeEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine := storetest.Workspace(t, s, "mine")
		i := storetest.Instance(t, s, mine, "one")
		other := storetest.Instance(t, s, mine, "two")
		m := storetest.Message(i, "15005550006", "x")
		accept(t, s, &m)
		for name, stranger := range map[string]messaging.Tenancy{
			"another workspace":   storetest.Workspace(t, s, "theirs"),
			"another environment": messaging.NewTenancy(mine.Workspace(), messaging.Live, messaging.AllInstances()),
			"another instance":    messaging.NewTenancy(mine.Workspace(), messaging.Test, messaging.OnlyInstances(other.ID)),
			"an empty allowlist":  messaging.NewTenancy(mine.Workspace(), messaging.Test, messaging.OnlyInstances()),
		} {
			if _, err := s.Message(t.Context(), stranger, m.ID); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s: Message = %v, want NOT_FOUND", name, err)
			}
			list, err := s.Messages(t.Context(), stranger, messaging.MessageFilter{}, messaging.Page{Limit: 10})
			if err != nil || len(list) != 0 {
				t.Errorf("%s: Messages = %d, %v", name, len(list), err)
			}
			events, err := s.Events(t.Context(), stranger, messaging.EventFilter{MessageID: m.ID}, messaging.Page{Limit: 10})
			if err != nil || len(events) != 0 {
				t.Errorf("%s: Events = %d, %v", name, len(events), err)
			}
		}
	})
}
