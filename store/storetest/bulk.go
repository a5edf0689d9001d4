package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/store"
)

// chunkRows is how many rows a chunk of a test's bulk has.
const chunkRows = 7

// NewBulk makes a running bulk over instances that is not stored, with a row for
// each of some recipients.
func NewBulk(rows int, over ...messaging.Instance) messaging.Bulk {
	now := time.Now().UTC().Truncate(time.Microsecond)
	b := messaging.Bulk{
		ID: messaging.NewID(messaging.BulkPrefix, now), WorkspaceID: over[0].WorkspaceID, Environment: over[0].Environment, Name: "spring",
		KeyID: "key_test", Lineage: "key_test", State: messaging.BulkRunning, Pending: int64(rows), Next: 1,
		Counts:    messaging.BulkCounts{Total: int64(rows), Queued: int64(rows)},
		Template:  messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "Hello {{name}}"}},
		Options:   messaging.BulkOptions{Priority: messaging.Low, Dedupe: true},
		CreatedAt: now, StartedAt: now,
	}
	for _, i := range over {
		b.InstanceIDs = append(b.InstanceIDs, i.ID)
	}
	return b
}

// BulkRows are rows for a bulk, to numbers that rise with them.
func BulkRows(n int) []bulk.StoredRow {
	rows := make([]bulk.StoredRow, n)
	for i := range rows {
		to := fmt.Sprintf("1202555%04d", i+1)
		rows[i] = bulk.StoredRow{
			Number: int64(i + 1), Input: "+" + to, WAID: to + "@" + messaging.UserServer, Variables: []byte(fmt.Sprintf(`{"name":"N%d"}`, i+1)),
		}
	}
	return rows
}

// Chunks makes small chunks of rows.
func Chunks(t testing.TB, rows []bulk.StoredRow) (chunks []bulk.Chunk) {
	t.Helper()
	for from := 0; from < len(rows); from += chunkRows {
		chunks = append(chunks, OneChunk(t, rows[from:min(from+chunkRows, len(rows))]))
	}
	return chunks
}

// OneChunk makes a chunk of rows that follow each other.
func OneChunk(t testing.TB, rows []bulk.StoredRow) bulk.Chunk {
	t.Helper()
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	return bulk.Chunk{First: rows[0].Number, Rows: len(rows), Data: data}
}

// Bulk stages and creates a bulk.
func Bulk(t testing.TB, s *store.Store, b messaging.Bulk, rows []bulk.StoredRow) {
	t.Helper()
	Stage(t, s, b.ID, rows)
	if err := s.CreateBulk(context.Background(), b, nil, func() {}); err != nil {
		t.Fatalf("create bulk: %v", err)
	}
}

// Stage stages the rows of a bulk.
func Stage(t testing.TB, s *store.Store, bulkID string, rows []bulk.StoredRow) {
	t.Helper()
	for _, c := range Chunks(t, rows) {
		if err := s.StageBulk(context.Background(), bulkID, c); err != nil {
			t.Fatalf("stage bulk: %v", err)
		}
	}
}

// NewTurn makes a turn of some rows of a bulk through an instance, at a time: of
// first turns.
func NewTurn(b messaging.Bulk, rows []bulk.StoredRow, through messaging.Instance, at time.Time) bulk.Turn {
	t := bulk.Turn{Bulk: b, At: at, Next: rows[len(rows)-1].Number + 1}
	for _, r := range rows {
		c := bulk.Candidate{Row: r.Number, Person: messaging.Person(r.WAID), Skipped: r.Reason != ""}
		if !c.Skipped {
			m := Message(through, "", "Hello")
			m.Peer = messaging.Address{Input: r.Input, WAID: r.WAID}
			m.BulkID, m.Priority, m.CreatedAt = b.ID, b.Options.Priority, at
			c.Message = &m
		}
		t.Rows = append(t.Rows, c)
	}
	return t
}

// Turn gives rows their turn and returns what it did.
func Turn(t testing.TB, s *store.Store, turn bulk.Turn) (done bulk.Turned) {
	t.Helper()
	if err := s.Turn(context.Background(), turn, func(d bulk.Turned) { done = d }); err != nil {
		t.Fatalf("turn: %v", err)
	}
	return done
}
