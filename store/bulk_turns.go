package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

// Turn gives rows of a bulk their turn in one durable commit shared with other
// callers: each becomes its message with its place in the outbox and its event,
// or is skipped, and the counts move. turned is called after the commit, in the
// order of the commits and before Turn returns; it must not block.
func (s *Store) Turn(ctx context.Context, t bulk.Turn, turned func(bulk.Turned)) error {
	p := &turning{Turn: t, accepted: make([]acceptance, len(t.Rows))}
	p.At = clip(t.At)
	for i := range t.Rows {
		if t.Rows[i].Skipped {
			continue
		}
		m, err := newStoredMessage(t.Rows[i].Message)
		if err != nil {
			return fmt.Errorf("turn: row %d: %w", t.Rows[i].Row, err)
		}
		p.accepted[i].message = m
	}
	j := &job{station: stationTurn, payload: p, weight: turnWeight * len(t.Rows), after: func() { turned(p.turned) }}
	if err := s.committer.submit(ctx, j); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}

// turning is one call of Turn. What a try of the transaction has made of it is
// made anew by the next.
type turning struct {
	bulk.Turn

	accepted []acceptance // by index of Rows; empty for one that was skipped before
	turned   bulk.Turned
}

// candidate is a row whose turn it is.
type candidate struct {
	turn   *turning
	open   *openBulk
	index  int    // in the turn's rows
	reason string // why it is skipped; empty: it becomes its message
}

func (c *candidate) row() *bulk.Candidate { return &c.turn.Rows[c.index] }

// upsertRecipients notes what became of rows at their turn. That of a retry
// takes the place of the try before.
var upsertRecipients = &rows{
	head:    insertInto + `bulk_recipients (workspace_id, environment, bulk_id, row_number, person, instance_id, message_id, reason, at) `,
	columns: slices.Concat(repeat(text, 3), repeat(number, 1), repeat(text, 4), repeat(number, 1)),
	tail: ` ON CONFLICT (bulk_id, row_number) DO UPDATE SET instance_id = excluded.instance_id, message_id = excluded.message_id,
		reason = excluded.reason, at = excluded.at, again = FALSE`,
}

// applyTurns finds out whose turn it is, decides who is skipped, and plans the
// messages of the others.
func applyTurns(ctx context.Context, b *batchConn, jobs []*job, book *bulkBook, events *eventLog) (writer, error) {
	if err := book.load(ctx); err != nil {
		return nil, err
	}
	marked, err := markedAgain(ctx, b, jobs)
	if err != nil {
		return nil, err
	}
	var due []candidate
	for _, j := range jobs {
		due = append(due, book.due(j.payload.(*turning), marked)...)
	}
	skips, err := loadSkips(ctx, b.lookUp, wantedSkips(due))
	if err != nil {
		return nil, err
	}
	var winners []*acceptance
	for i := range due {
		c := &due[i]
		t, row := c.turn, c.row()
		c.open.row.Pending--
		person := personOf(c)
		if c.reason = skips.reason(person); c.reason != "" {
			c.open.row.Queued--
			c.open.row.Skipped++
			continue
		}
		skips.reach(person, row.Message.InstanceID)
		a := &t.accepted[c.index]
		a.plan(b.store.nextPosition(), events)
		t.turned.Positions[c.index] = a.position
		winners = append(winners, a)
	}
	return func(ctx context.Context) error { return writeTurns(ctx, b, due, winners, events) }, nil
}

// due returns the rows of a turn whose turn it is, and notes that they have had
// it.
func (k *bulkBook) due(t *turning, marked map[againKey]bool) (out []candidate) {
	t.turned = bulk.Turned{Positions: make([]int64, len(t.Rows))}
	o := k.of(t.Bulk.WorkspaceID, t.Bulk.Environment, t.Bulk.ID)
	if o == nil || messaging.BulkState(o.row.State) != messaging.BulkRunning {
		t.turned.Stopped = true
		return nil
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		if t.Next == 0 && !o.takeAgain(row.Row, marked) || t.Next > 0 && (row.Row < o.row.Next || row.Skipped) {
			continue
		}
		out = append(out, candidate{turn: t, open: o, index: i})
	}
	if len(out) > 0 || t.Next > o.row.Next {
		o.touch(t.At)
	}
	o.row.Next = max(o.row.Next, t.Next)
	return out
}

// takeAgain reports whether a row waits for its retry, once in a transaction.
func (o *openBulk) takeAgain(row int64, marked map[againKey]bool) bool {
	if o.again[row] || !marked[againKey{o.row.ID, row}] {
		return false
	}
	if o.again == nil {
		o.again = make(map[int64]bool)
	}
	o.again[row] = true
	return true
}

// againKey names a row of a bulk.
type againKey struct {
	bulkID string
	row    int64
}

// selectMarked is no join: that might begin with all rows that wait for a retry.
var selectMarked = &rows{
	head:    `SELECT v.column1, v.column2 FROM `,
	form:    asTable,
	columns: []kind{text, number},
	tail:    ` WHERE (SELECT r.again FROM bulk_recipients r WHERE r.bulk_id = v.column1 AND r.row_number = v.column2)`,
}

// markedAgain returns which rows of the turns of retries wait for one.
func markedAgain(ctx context.Context, b *batchConn, jobs []*job) (map[againKey]bool, error) {
	var keys []any
	for _, j := range jobs {
		t := j.payload.(*turning)
		if t.Next > 0 {
			continue
		}
		for i := range t.Rows {
			keys = append(keys, t.Bulk.ID, t.Rows[i].Row)
		}
	}
	marked := make(map[againKey]bool)
	err := b.lookUp(ctx, selectMarked, keys, func(scan func(...any) error) error {
		var k againKey
		err := scan(&k.bulkID, &k.row)
		marked[k] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rows to be retried: %w", err)
	}
	return marked, nil
}

// wantedSkips lists what must be known of the persons whose turn it is.
func wantedSkips(due []candidate) (wanted []skipQuestion) {
	for i := range due {
		wanted = append(wanted, newSkipQuestion(personOf(&due[i]), &due[i].turn.Bulk.Options, due[i].turn.At))
	}
	return wanted
}

func personOf(c *candidate) bulkPerson {
	r := &c.open.row
	return bulkPerson{tenancyKey{r.WorkspaceID, r.Environment}, r.ID, r.Instances, c.row().Person}
}

func writeTurns(ctx context.Context, b *batchConn, due []candidate, winners []*acceptance, events *eventLog) error {
	if err := writeAcceptances(ctx, b, winners, events); err != nil {
		return err
	}
	var args []any
	for i := range due {
		c := &due[i]
		r := c.row()
		instance, message := r.Message.InstanceID, r.Message.ID
		if c.reason != "" {
			instance, message = "", ""
		}
		args = append(args, c.open.row.WorkspaceID, c.open.row.Environment, c.open.row.ID, r.Row, r.Person, instance, message, c.reason,
			micros(c.turn.At))
	}
	if err := b.write(ctx, upsertRecipients, args); err != nil {
		return fmt.Errorf("insert recipients: %w", err)
	}
	return nil
}

// BulkWaiting lists the messages of a bulk that are in the outbox, in its order.
func (s *Store) BulkWaiting(ctx context.Context, b messaging.Bulk) ([]bulk.Waiting, error) {
	q := new(query)
	q.tail(`SELECT o.message_id, o.instance_id, m.peer_wa_id, m.status FROM outbox o JOIN messages m
			ON m.workspace_id = o.workspace_id AND m.environment = o.environment AND m.id = o.message_id
		WHERE m.bulk_id = `, b.ID)
	q.and("o.priority = ", int64(b.Options.Priority))
	q.b.WriteString(" AND o.instance_id IN (''")
	for _, id := range b.InstanceIDs {
		q.tail(", ", id)
	}
	q.b.WriteString(") ORDER BY o.position")
	var found []struct {
		MessageID  string `db:"message_id"`
		InstanceID string `db:"instance_id"`
		WAID       string `db:"peer_wa_id"`
		Status     string `db:"status"`
	}
	if err := s.r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("waiting messages of a bulk: %w", explain(err))
	}
	out := make([]bulk.Waiting, len(found))
	for i, f := range found {
		out[i] = bulk.Waiting{
			MessageID: f.MessageID, InstanceID: f.InstanceID, Person: messaging.Person(f.WAID), Held: f.Status == string(messaging.StatusHeld),
		}
	}
	return out, nil
}

// BulkSpent returns when the last messages of a bulk came to an instance, or went
// from it if that was later, oldest first, since a time; at most limit.
func (s *Store) BulkSpent(ctx context.Context, b messaging.Bulk, instanceID string, since time.Time, limit int) ([]time.Time, error) {
	const q = `SELECT CASE WHEN m.sent_at > r.at THEN m.sent_at ELSE r.at END AS went
		FROM bulk_recipients r JOIN messages m
			ON m.workspace_id = r.workspace_id AND m.environment = r.environment AND m.id = r.message_id
		WHERE r.bulk_id = $1 AND r.instance_id = $2 AND (r.at >= $3 OR m.sent_at >= $3)
		ORDER BY went DESC LIMIT $4`
	var found []int64
	if err := s.r.SelectContext(ctx, &found, q, b.ID, instanceID, micros(since), limit); err != nil {
		return nil, fmt.Errorf("what a bulk has sent: %w", explain(err))
	}
	out := make([]time.Time, len(found))
	for i, at := range found {
		out[len(out)-1-i] = fromMicros(at)
	}
	return out, nil
}
