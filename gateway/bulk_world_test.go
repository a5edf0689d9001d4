package gateway_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/gateway"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
)

// bulkShelf keeps bulks in memory and sends nothing. It implements what the door
// relies on.
type bulkShelf struct {
	world *world

	mu      sync.Mutex
	bulks   []messaging.Bulk
	rows    map[string][]messaging.BulkRecipient // by bulk
	drafts  []bulk.Draft                         // those that were accepted, and rehearsed
	optOuts []messaging.OptOut
	ids     messaging.IDSource
	onRow   func(*bulk.Row) // called for each row
	broken  func(after int64) error
	end     time.Time // what Estimate answers
}

var (
	_ gateway.Bulks        = (*bulkShelf)(nil)
	_ gateway.BulkControls = (*bulkShelf)(nil)
	_ gateway.OptOuts      = (*bulkShelf)(nil)

	_ gateway.Bulks        = (*bulk.Service)(nil)
	_ gateway.BulkControls = (*bulk.Service)(nil)
)

// read goes through a draft's rows and makes recipients of them.
func (s *bulkShelf) read(ctx context.Context, d *bulk.Draft, id string) (rows []messaging.BulkRecipient, faults []bulk.RowFault, err error) {
	err = d.Rows.Each(ctx, func(row *bulk.Row) error {
		if s.onRow != nil {
			s.onRow(row)
			return nil
		}
		variables := make(map[string]string)
		for i, name := range row.Names {
			variables[name] = row.Values[i]
		}
		encoded, err := json.Marshal(variables, json.Deterministic(true))
		if err != nil {
			return err
		}
		r := messaging.BulkRecipient{
			ID: messaging.NewRecipientID(id, row.Number), Row: row.Number, To: messaging.Address{Input: row.To}, Variables: encoded, Status: "queued",
		}
		if row.Fault != nil {
			faults = append(faults, *row.Fault)
		} else if r.To, err = outbox.ParseRecipient(row.To); err != nil {
			f := bulk.RowFault{Row: row.Number, Line: row.Line, Column: "to", Code: messaging.SkippedInvalid, Message: "The recipient cannot be."}
			if row.Column != nil {
				f.Column = row.Column("to")
			}
			faults, r.To.Input = append(faults, f), row.To
		}
		if len(faults) > 0 && faults[len(faults)-1].Row == row.Number {
			r.Status, r.Error = "skipped", &messaging.SendError{Code: faults[len(faults)-1].Code, Message: faults[len(faults)-1].Message}
		}
		rows = append(rows, r)
		return nil
	})
	return rows, faults, err
}

func (s *bulkShelf) Accept(ctx context.Context, d bulk.Draft) (messaging.Bulk, error) {
	now := time.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := messaging.Bulk{
		ID: s.ids.Next(messaging.BulkPrefix, now), WorkspaceID: d.Tenancy.Workspace(), Environment: d.Tenancy.Environment(), Name: d.Name,
		KeyID: d.KeyID, Lineage: d.Lineage, State: messaging.BulkRunning, Template: d.Content, Metadata: d.Metadata, Options: d.Options,
		CreatedAt: now, StartedAt: now,
	}
	for _, i := range d.Instances {
		b.InstanceIDs = append(b.InstanceIDs, i.ID)
	}
	rows, faults, err := s.read(ctx, &d, b.ID)
	if err != nil {
		return b, err
	}
	if len(faults) > 0 && !d.Options.SkipInvalid {
		var fields fault.Fields
		for _, f := range faults {
			fields.Add("recipients["+strconv.FormatInt(f.Row-1, 10)+"]."+f.Column, f.Code, f.Message)
		}
		return b, fields.Err()
	}
	b.Counts = messaging.BulkCounts{Total: int64(len(rows)), Queued: int64(len(rows) - len(faults)), Skipped: int64(len(faults))}
	if err := d.Pay(int(b.Counts.Queued)); err != nil {
		return b, err
	}
	if d.ClaimFor != nil {
		s.mu.Unlock() // the door asks for an estimate meanwhile
		claim, err := d.ClaimFor(b)
		s.mu.Lock()
		if err != nil {
			return b, err
		}
		s.world.mu.Lock()
		s.world.claims[claimKey(d.Tenancy, claim.Scope)] = *claim
		s.world.mu.Unlock()
	}
	d.Rows = nil
	s.bulks, s.drafts = append(s.bulks, b), append(s.drafts, d)
	s.rows[b.ID] = rows
	return b, nil
}

func (s *bulkShelf) Rehearse(ctx context.Context, d bulk.Draft) (bulk.Rehearsal, error) {
	rows, faults, err := s.read(ctx, &d, "")
	if err != nil {
		return bulk.Rehearsal{}, err
	}
	if d.Pay != nil || d.ClaimFor != nil {
		return bulk.Rehearsal{}, errors.New("a rehearsal was to pay or to be kept")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Rows = nil
	s.drafts = append(s.drafts, d)
	valid, starts := int64(len(rows)-len(faults)), time.Now().UTC()
	return bulk.Rehearsal{
		Total: int64(len(rows)), Valid: valid, Invalid: int64(len(faults)), Outcomes: map[string]int64{"read": valid}, Faults: faults,
		Refused: len(rows) == 0 || len(faults) > 0 && (!d.Options.SkipInvalid || valid == 0),
		Starts:  starts, Ends: starts.Add(90 * time.Second), Duration: 90 * time.Second, RequestTokens: (valid + 99) / 100, MessageTokens: valid,
	}, nil
}

// opens reports whether a tenancy opens a bulk: all of its instances.
func opens(t messaging.Tenancy, b *messaging.Bulk) bool {
	for _, id := range b.InstanceIDs {
		if !visible(t, b.WorkspaceID, b.Environment, id) {
			return false
		}
	}
	return true
}

func (s *bulkShelf) Find(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.change(t, id, "")
}

// change puts a bulk into a state, unless that is empty.
func (s *bulkShelf) change(t messaging.Tenancy, id string, to messaging.BulkState, from ...messaging.BulkState) (messaging.Bulk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.bulks {
		b := &s.bulks[i]
		if b.ID != id || !opens(t, b) {
			continue
		}
		for _, state := range from {
			if b.State == state {
				b.State = to
				return *b, nil
			}
		}
		if to != "" {
			return *b, fault.ErrConflict.With("state", b.State)
		}
		return *b, nil
	}
	return messaging.Bulk{}, fault.ErrNotFound
}

func (s *bulkShelf) List(_ context.Context, t messaging.Tenancy, p messaging.Page) ([]messaging.Bulk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newest(s.bulks, p, func(b messaging.Bulk) (string, bool) { return b.ID, opens(t, &b) }), nil
}

func (s *bulkShelf) Recipients(_ context.Context, b messaging.Bulk, status string, p messaging.Page) (page []messaging.BulkRecipient, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := int64(0)
	if p.Cursor != "" {
		if after, err = strconv.ParseInt(p.Cursor, 10, 64); err != nil {
			return nil, err
		}
	}
	if s.broken != nil {
		if err := s.broken(after); err != nil {
			return nil, err
		}
	}
	for _, r := range s.rows[b.ID] {
		if r.Row > after && (status == "" || r.Status == status) && len(page) <= p.Limit {
			page = append(page, r)
		}
	}
	return page, nil
}

func (s *bulkShelf) Estimate(context.Context, messaging.Bulk) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

func (s *bulkShelf) Pause(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.change(t, id, messaging.BulkPaused, messaging.BulkRunning, messaging.BulkScheduled)
}

func (s *bulkShelf) Resume(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.change(t, id, messaging.BulkRunning, messaging.BulkPaused)
}

func (s *bulkShelf) Cancel(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.change(t, id, messaging.BulkCanceled, messaging.BulkRunning, messaging.BulkScheduled, messaging.BulkPaused)
}

func (s *bulkShelf) RetryFailed(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.change(t, id, messaging.BulkRunning, messaging.BulkRunning, messaging.BulkCompleted)
}

func (s *bulkShelf) OptOut(_ context.Context, o messaging.OptOut) (messaging.OptOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.optOuts {
		if known.InstanceID == o.InstanceID && known.Environment == o.Environment && messaging.Person(known.To.WAID) == messaging.Person(o.To.WAID) {
			return known, nil
		}
	}
	s.optOuts = append(s.optOuts, o)
	return o, nil
}

func seesOptOut(t messaging.Tenancy, o *messaging.OptOut) bool {
	open := t.Allowlist()
	return o.WorkspaceID == t.Workspace() && o.Environment == t.Environment() && (open.All() || o.InstanceID != "" && open.Opens(o.InstanceID))
}

func (s *bulkShelf) OptIn(_ context.Context, t messaging.Tenancy, instanceID, person string) (messaging.OptOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.optOuts {
		if seesOptOut(t, &o) && o.InstanceID == instanceID && messaging.Person(o.To.WAID) == person {
			s.optOuts = append(s.optOuts[:i:i], s.optOuts[i+1:]...)
			return o, nil
		}
	}
	return messaging.OptOut{}, fault.ErrNotFound
}

func (s *bulkShelf) OptOuts(_ context.Context, t messaging.Tenancy, instanceID, person string, p messaging.Page) ([]messaging.OptOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newest(s.optOuts, p, func(o messaging.OptOut) (string, bool) {
		return bulk.OptOutCursor(&o), seesOptOut(t, &o) && (instanceID == "" || o.InstanceID == instanceID) &&
			(person == "" || messaging.Person(o.To.WAID) == person)
	}), nil
}

// accepted returns the draft of the last bulk.
func (s *bulkShelf) last(t *testing.T) bulk.Draft {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.drafts) == 0 {
		t.Fatal("no bulk was accepted")
	}
	return s.drafts[len(s.drafts)-1]
}

// stored returns how many bulks there are.
func (s *bulkShelf) stored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bulks)
}

// newBulkShelf gives a door its bulks.
func newBulkShelf(w *world, o *gateway.Options) *bulkShelf {
	s := &bulkShelf{world: w, rows: make(map[string][]messaging.BulkRecipient)}
	o.Bulks, o.Steering, o.OptOuts = s, s, s
	return s
}
