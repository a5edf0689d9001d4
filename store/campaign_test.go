package store_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

// campaign is a store with a running bulk over an instance.
type campaign struct {
	t        *testing.T
	s        *store.Store
	tenancy  messaging.Tenancy
	instance messaging.Instance
	bulk     messaging.Bulk
	rows     []bulk.StoredRow
	now      time.Time
}

func newCampaign(t *testing.T, s *store.Store, rows int, change ...func(*messaging.Bulk)) *campaign {
	t.Helper()
	c := &campaign{t: t, s: s, tenancy: storetest.Workspace(t, s, "w"), rows: storetest.BulkRows(rows)}
	c.instance = storetest.Instance(t, s, c.tenancy, "one")
	c.bulk = storetest.NewBulk(rows, c.instance)
	for _, f := range change {
		f(&c.bulk)
	}
	c.now = c.bulk.CreatedAt.Add(time.Minute)
	storetest.Bulk(t, s, c.bulk, c.rows)
	return c
}

// another adds a bulk of the same rows through some instances.
func (c *campaign) another(over ...messaging.Instance) *campaign {
	c.t.Helper()
	d := *c
	d.bulk = storetest.NewBulk(len(c.rows), over...)
	d.bulk.Options = c.bulk.Options
	d.instance = over[0]
	storetest.Bulk(c.t, c.s, d.bulk, d.rows)
	return &d
}

// turn gives the rows from a number to another, both included, their first turn.
func (c *campaign) turn(from, to int) (bulk.Turn, bulk.Turned) {
	c.t.Helper()
	turn := storetest.NewTurn(c.bulk, c.rows[from-1:to], c.instance, c.now)
	return turn, storetest.Turn(c.t, c.s, turn)
}

func (c *campaign) read() messaging.Bulk {
	c.t.Helper()
	b, err := c.s.Bulk(c.t.Context(), c.tenancy, c.bulk.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// report moves messages to a status.
func (c *campaign) report(status messaging.Status, ids ...string) {
	c.t.Helper()
	if err := c.s.Report(c.t.Context(), c.changes(status, ids...)...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *campaign) changes(status messaging.Status, ids ...string) (records []messaging.Record) {
	for _, id := range ids {
		records = append(records, messaging.StatusChange{
			WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, MessageID: id, Status: status, At: c.now, Attempts: 1,
		})
	}
	return records
}

// move changes the bulk's state.
func (c *campaign) move(state messaging.BulkState) {
	c.t.Helper()
	err := c.s.Report(c.t.Context(), c.change(state))
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *campaign) change(state messaging.BulkState) messaging.BulkChange {
	return messaging.BulkChange{WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, BulkID: c.bulk.ID, State: state, At: c.now}
}

// recipients lists all rows that have a status, page by page.
func (c *campaign) recipients(status string, limit int) (all []messaging.BulkRecipient) {
	c.t.Helper()
	for cursor := ""; ; {
		page, err := c.s.BulkRecipients(c.t.Context(), c.bulk, status, messaging.Page{Limit: limit, Cursor: cursor})
		if err != nil {
			c.t.Fatal(err)
		}
		if len(page) > limit+1 {
			c.t.Fatalf("a page of %d rows for a limit of %d", len(page), limit)
		}
		more := len(page) > limit
		page = page[:min(limit, len(page))]
		if all = append(all, page...); !more {
			return all
		}
		cursor = strconv.FormatInt(page[len(page)-1].Row, 10)
	}
}

// fates lists the rows as "number status[ code]".
func (c *campaign) fates() (out []string) {
	c.t.Helper()
	for _, r := range c.recipients("", 1000) {
		fate := fmt.Sprintf("%d %s", r.Row, r.Status)
		if r.Error != nil {
			fate += " " + r.Error.Code
		}
		out = append(out, fate)
	}
	return out
}

func (c *campaign) wantFates(want ...string) {
	c.t.Helper()
	if diff := cmp.Diff(c.fates(), want); diff != "" {
		c.t.Errorf("rows, want:\n%s", diff)
	}
}

func messageIDs(t bulk.Turn) (ids []string) {
	for _, r := range t.Rows {
		ids = append(ids, r.Message.ID)
	}
	return ids
}
