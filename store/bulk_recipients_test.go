package store_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// All rows are there from the 202 on, whatever has become of them, and each page
// begins where the one before ended.
func TestRecipientsAreListedInTheirOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 30)
		turn, _ := c.turn(1, 12)
		ids := messageIDs(turn)
		c.report(messaging.StatusRead, ids[2], ids[9])
		c.report(messaging.StatusFailed, ids[5])
		for _, limit := range []int{1, 6, 7, 8, 29, 30, 31, 1000} {
			all := c.recipients("", limit)
			if len(all) != 30 || !slices.IsSortedFunc(all, func(a, b messaging.BulkRecipient) int { return int(a.Row - b.Row) }) {
				t.Errorf("pages of %d: %d rows, or out of order", limit, len(all))
			}
		}
		for status, want := range map[string][]int64{"read": {3, 10}, "failed": {6}, "sent": nil, "skipped": nil, "canceled": nil} {
			for _, limit := range []int{1, 2, 100} {
				var rows []int64
				for _, r := range c.recipients(status, limit) {
					rows = append(rows, r.Row)
				}
				if diff := cmp.Diff(rows, want); diff != "" {
					t.Errorf("%s by %d: rows, want:\n%s", status, limit, diff)
				}
			}
		}
		if queued := c.recipients("queued", 4); len(queued) != 27 {
			t.Errorf("%d rows are queued, want 27", len(queued))
		}
		for _, cursor := range []string{"x", "-1", "1.5"} {
			if _, err := s.BulkRecipients(t.Context(), c.bulk, "", messaging.Page{Limit: 1, Cursor: cursor}); !errors.Is(err, fault.ErrBadRequest) {
				t.Errorf("cursor %q: %v, want BAD_REQUEST", cursor, err)
			}
		}
	})
}

func TestARecipientShowsItsRowAndItsMessage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2)
		turn, _ := c.turn(1, 1)
		m := turn.Rows[0].Message
		failed := c.changes(messaging.StatusFailed, m.ID)[0].(messaging.StatusChange)
		failed.Error = &messaging.SendError{Code: "NOT_ON_WHATSAPP", Message: "No such number."}
		if err := s.Report(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
		stored, err := s.Message(t.Context(), c.tenancy, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := []messaging.BulkRecipient{{
			ID: messaging.NewRecipientID(c.bulk.ID, 1), Row: 1, To: messaging.Address{Input: c.rows[0].Input, WAID: c.rows[0].WAID},
			Variables: []byte(`{"name":"N1"}`), Status: "failed", Error: failed.Error, MessageID: m.ID, InstanceID: c.instance.ID, State: stored.State,
		}, {
			ID: messaging.NewRecipientID(c.bulk.ID, 2), Row: 2, To: messaging.Address{Input: c.rows[1].Input, WAID: c.rows[1].WAID},
			Variables: []byte(`{"name":"N2"}`), Status: "queued", State: messaging.State{Status: messaging.StatusQueued},
		}}
		if diff := cmp.Diff(c.recipients("", 10), want); diff != "" {
			t.Errorf("rows, want:\n%s", diff)
		}
	})
}

// A filter that finds little walks a large bulk in pages of its own.
func TestAFilterFindsRowsFarApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2500)
		var ids []string
		for from := 1; from <= 2500; from += 500 {
			turn, _ := c.turn(from, from+499)
			ids = append(ids, messageIDs(turn)...)
		}
		c.report(messaging.StatusFailed, ids[3], ids[1499], ids[2499])
		page, err := s.BulkRecipients(t.Context(), c.bulk, "failed", messaging.Page{Limit: 2})
		if err != nil || len(page) != 3 || page[0].Row != 4 || page[1].Row != 1500 || page[2].Row != 2500 {
			t.Fatalf("%d rows, %v; want 4, 1500 and 2500", len(page), err)
		}
		page, err = s.BulkRecipients(t.Context(), c.bulk, "failed", messaging.Page{Limit: 2, Cursor: strconv.Itoa(1500)})
		if err != nil || len(page) != 1 || page[0].Row != 2500 {
			t.Errorf("%d rows behind 1500, %v; want 2500", len(page), err)
		}
	})
}
