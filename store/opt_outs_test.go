package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

func TestAnOptOutIsNotedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		first := messaging.OptOut{
			WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment(), InstanceID: i.ID, To: address("5511999990001"), KeyID: "key_1",
			CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		}
		second := first
		second.To, second.KeyID, second.Keyword = address("551199990001"), "", "SAIR"
		for _, o := range []messaging.OptOut{first, second} {
			noted, err := s.OptOut(t.Context(), o)
			if diff := cmp.Diff(noted, first); diff != "" || err != nil {
				t.Errorf("%v; noted, want:\n%s", err, diff)
			}
		}
		person := messaging.Person(first.To.WAID)
		gone, err := s.OptIn(t.Context(), tenancy, i.ID, person)
		if diff := cmp.Diff(gone, first); diff != "" || err != nil {
			t.Errorf("%v; forgotten, want:\n%s", err, diff)
		}
		if _, err := s.OptIn(t.Context(), tenancy, i.ID, person); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("again: %v, want NOT_FOUND", err)
		}
	})
}

// optOuts lists opt-outs page by page.
func optOuts(t *testing.T, s *store.Store, tenancy messaging.Tenancy, instance, person string, limit int) (all []messaging.OptOut) {
	t.Helper()
	for cursor, more := "", true; more; {
		page, err := s.OptOuts(t.Context(), tenancy, instance, person, messaging.Page{Limit: limit, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		more = len(page) > limit
		if all = append(all, page[:min(limit, len(page))]...); len(all) > 0 {
			cursor = bulk.OptOutCursor(&all[len(all)-1])
		}
	}
	return all
}

// The workspace's opt-outs are not for a key that sees a part of it.
func TestOptOutsAreListedNewestFirstByWhatATenancyOpens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		now := time.Now().UTC().Truncate(time.Microsecond)
		var noted []messaging.OptOut // the newest first
		for n, instance := range []string{one.ID, one.ID, two.ID, "", one.ID} {
			o := messaging.OptOut{
				WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment(), InstanceID: instance,
				To: address("120255500" + string(rune('0'+n)) + "0"), CreatedAt: now.Add(time.Duration(n/2) * time.Second),
			}
			if _, err := s.OptOut(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			noted = append([]messaging.OptOut{o}, noted...)
		}
		for name, c := range map[string]struct {
			allow            messaging.Allowlist
			instance, person string
			want             []messaging.OptOut
		}{
			"all":       {messaging.AllInstances(), "", "", noted},
			"locked":    {messaging.OnlyInstances(one.ID), "", "", []messaging.OptOut{noted[0], noted[3], noted[4]}},
			"instance":  {messaging.AllInstances(), two.ID, "", noted[2:3]},
			"closed":    {messaging.OnlyInstances(one.ID), two.ID, "", nil},
			"person":    {messaging.AllInstances(), "", messaging.Person(noted[1].To.WAID), noted[1:2]},
			"stranger":  {messaging.AllInstances(), "", "nobody", nil},
			"no others": {messaging.OnlyInstances(), "", "", nil},
		} {
			locked := messaging.NewTenancy(tenancy.Workspace(), tenancy.Environment(), c.allow)
			for _, limit := range []int{1, 2, 10} {
				if diff := cmp.Diff(optOuts(t, s, locked, c.instance, c.person, limit), c.want, cmpEmpty); diff != "" {
					t.Errorf("%s by %d: got, want:\n%s", name, limit, diff)
				}
			}
		}
		locked := messaging.NewTenancy(tenancy.Workspace(), tenancy.Environment(), messaging.OnlyInstances(one.ID))
		if _, err := s.OptIn(t.Context(), locked, "", messaging.Person(noted[1].To.WAID)); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a locked key forgets the workspace's: %v, want NOT_FOUND", err)
		}
		if _, err := s.OptOuts(t.Context(), tenancy, "", "", messaging.Page{Limit: 1, Cursor: "?"}); !errors.Is(err, fault.ErrBadRequest) {
			t.Errorf("a wrong cursor: %v", err)
		}
	})
}

// Between the message that says so and the note of it nothing can come.
func TestAnInboundKeywordOptsOutWithItsMessage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s.OptOutKeyword(func(m *messaging.Message) (string, bool) {
			word := strings.ToUpper(strings.TrimSpace(m.Content.Text.Body))
			return word, word == "SAIR"
		})
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		var records []messaging.Record
		for n, text := range []string{" sair ", "sair já", "oi", "Sair"} {
			m := storetest.Message(i, "1202555000"+string(rune('0'+n)), text)
			m.Direction, m.WAMessageID = messaging.Inbound, "WA"+string(rune('0'+n))
			records = append(records, messaging.InboundMessage{Message: m})
		}
		reaction := storetest.Message(i, "12025550009", "")
		reaction.Direction, reaction.WAMessageID = messaging.Inbound, "WA9"
		reaction.Content = messaging.Content{Kind: messaging.KindReaction, Reaction: &messaging.Reaction{Message: messaging.Reference{WAMessageID: "x"}, Emoji: "👍"}}
		records = append(records, messaging.InboundMessage{Message: reaction})
		for range 2 { // it may come again
			if err := s.Report(t.Context(), records...); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.OptOuts(t.Context(), tenancy, i.ID, "", messaging.Page{Limit: 10})
		if err != nil || len(list) != 2 || list[0].Keyword != "SAIR" || list[0].KeyID != "" {
			t.Errorf("%+v, %v; want two by SAIR", list, err)
		}
		// One that was taken back is not noted again by a message that comes twice.
		if _, err := s.OptIn(t.Context(), tenancy, i.ID, list[0].To.Phone()); err != nil {
			t.Fatal(err)
		}
		if err := s.Report(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		if list, err := s.OptOuts(t.Context(), tenancy, i.ID, "", messaging.Page{Limit: 10}); err != nil || len(list) != 1 {
			t.Errorf("%d opt-outs, %v; want 1", len(list), err)
		}
	})
}
