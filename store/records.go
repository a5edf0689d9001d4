package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"portaria/messaging"
)

// Report records what happened: it moves the status of messages, stores inbound
// messages, what became of them, calls and the states of instances, and appends
// an event for each thing that was new, in one commit shared with other callers. A record that
// comes late or twice changes nothing. When Report returns nil, all is durable. While bulks are
// being sent, many changes of statuses take several commits, one behind the other: of those that
// failed, some may be durable.
func (s *Store) Report(ctx context.Context, records ...messaging.Record) error {
	if len(records) == 0 {
		return nil
	}
	jobs := s.committer.parts(len(records), divisible(records), func(from, to int) *job {
		return &job{station: stationRecord, payload: records[from:to], weight: to - from}
	})
	return s.committer.submit(ctx, jobs...)
}

// divisible reports whether records may be durable one after the other: they only
// move statuses, each of which stands for itself.
func divisible(records []messaging.Record) bool {
	for _, record := range records {
		if _, ok := record.(messaging.StatusChange); !ok {
			return false
		}
	}
	return true
}

// applyRecords works in four strokes, whatever the number of records: read the
// states of all messages named, move them in memory, write the states that
// changed, and mend the outbox.
func applyRecords(ctx context.Context, b *batchConn, jobs []*job, book *bulkBook, events *eventLog) (writer, error) {
	r := &recording{b: b, events: events, bulks: book, messages: make(map[string]*recorded)}
	for _, j := range jobs {
		for _, record := range j.payload.([]messaging.Record) {
			switch c := record.(type) {
			case messaging.StatusChange:
				r.note(c)
			case messaging.BulkChange:
				book.want(c.BulkID)
			}
		}
	}
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("load states: %w", err)
	}
	if err := book.load(ctx); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		for _, record := range j.payload.([]messaging.Record) {
			if err := r.apply(ctx, record); err != nil {
				return nil, err
			}
		}
	}
	return r.save, nil
}

// recording is one batch of records on its way.
type recording struct {
	b        *batchConn
	events   *eventLog
	bulks    *bulkBook
	messages map[string]*recorded
	order    []*recorded
	received []received
	spent    []messaging.PaceSpent
	relinked []messaging.InstanceChange // to another phone
	// instances says that the state of one has changed.
	instances bool
}

// recorded is a message named in a batch.
type recorded struct {
	workspace   string
	environment messaging.Environment
	id          string
	instance    string // empty: there is no such message
	bulk        string // empty: it is of none
	priority    int64  // in the outbox, as position
	position    int64
	state       messaging.State
	sequences   string                  // of the events before this batch
	events      []int                   // of this batch, by index in the log
	changed     bool                    // the row of messages must be written
	moved       *messaging.StatusChange // the row of outbox must be written
	gone        bool                    // the row of outbox must go
}

func (r *recording) note(c messaging.StatusChange) {
	if _, ok := r.messages[c.MessageID]; ok {
		return
	}
	m := &recorded{workspace: c.WorkspaceID, environment: c.Environment, id: c.MessageID}
	r.messages[c.MessageID] = m
	r.order = append(r.order, m)
}

// selectStates locks what it reads where writers run side by side. The list of
// keys drives a look-up of each by the primary key, on both engines; an IN list
// made PostgreSQL read the whole tenancy.
var selectStates = &rows{
	head:    `SELECT m.id, m.instance_id, m.bulk_id, m.priority, m.position, m.events, ` + stateColumns + ` FROM `,
	form:    asTable,
	columns: []kind{text.of(byWorld), text.of(byWorld), text},
	tail: ` CROSS JOIN messages m
		WHERE m.workspace_id = v.column1 AND m.environment = v.column2 AND m.id = v.column3
		FOR UPDATE OF m -- only: postgres
`,
}

// load reads the states of the messages that are not known, in the order of their
// ids, so that two writers never wait for each other.
func (r *recording) load(ctx context.Context) error {
	slices.SortFunc(r.order, func(a, b *recorded) int { return strings.Compare(a.id, b.id) })
	var keys []any
	for _, m := range r.order {
		k, ok := r.b.store.states.of(m.workspace, m.environment, m.id)
		if !ok {
			keys = append(keys, &m.workspace, (*string)(&m.environment), &m.id)
			continue
		}
		m.instance, m.bulk, m.priority, m.position = k.instance, k.bulk, k.priority, k.position
		m.sequences, m.state = k.sequences, k.state
		r.bulks.want(m.bulk)
	}
	return r.b.each(selectStates, keys, func(text string, _ int, args []any) error {
		found, err := r.b.look(ctx, text, args...)
		if err != nil {
			return err
		}
		for found.Next() {
			var id string
			var place recorded
			var row stateRow
			if err := found.Scan(&id, &place.instance, &place.bulk, &place.priority, &place.position, &place.sequences, &row.Status, &row.ErrorCode, &row.ErrorMessage,
				&row.Attempts, &row.SentAt, &row.DeliveredAt, &row.ReadAt, &row.PlayedAt, &row.FailedAt); err != nil {
				return errorsJoinClose(err, found)
			}
			m := r.messages[id]
			m.instance, m.bulk, m.priority, m.position = place.instance, place.bulk, place.priority, place.position
			m.sequences, m.state = place.sequences, row.state()
			r.bulks.want(m.bulk)
		}
		return errorsJoinClose(found.Err(), found)
	})
}

func (r *recording) apply(ctx context.Context, record messaging.Record) error {
	switch c := record.(type) {
	case messaging.StatusChange:
		r.applyStatus(c)
		return nil
	case messaging.InboundMessage:
		return r.applyInbound(ctx, &c.Message)
	case messaging.MessageEdit:
		return r.applyEdit(ctx, c)
	case messaging.MessageRevoke:
		return r.applyRevoke(ctx, c)
	case messaging.CallReceived:
		return r.applyCall(ctx, c)
	case messaging.InstanceChange:
		return r.applyInstance(ctx, c)
	case messaging.BulkChange:
		r.bulks.change(c)
		return nil
	case messaging.PaceSpent:
		c.At = clip(c.At)
		r.spent = append(r.spent, c)
		return nil
	default:
		return fmt.Errorf("no such record: %T", record)
	}
}

// applyStatus moves a message in memory and notes the events.
func (r *recording) applyStatus(c messaging.StatusChange) {
	m := r.messages[c.MessageID]
	if m.instance == "" {
		return
	}
	c.At = clip(c.At)
	before := m.state
	news := m.state.Apply(c)
	if m.state != before {
		m.changed = true
	}
	if o := r.bulks.of(m.workspace, m.environment, m.bulk); o != nil {
		o.move(before.Status, m.state.Status, c.At)
	}
	switch {
	case !m.state.Status.Waiting():
		m.moved = nil
		m.gone = m.gone || before.Status.Waiting()
	case c.Status.Waiting():
		m.moved = &c
	}
	for _, status := range news {
		state := m.state
		if len(news) > 1 && status == messaging.StatusSent {
			// The event that a receipt implies shows the message as it was then.
			state = messaging.State{Status: status, Attempts: state.Attempts, SentAt: state.SentAt}
		}
		if event := r.events.addStatus(m.workspace, m.environment, m.instance, m.id, status, state, c.At); event != noEvent {
			m.events = append(m.events, event)
		}
	}
}

var (
	updateStates = &rows{
		head: `UPDATE messages SET status = v.column4, error_code = v.column5, error_message = v.column6, attempts = v.column7,
			sent_at = v.column8, delivered_at = v.column9, read_at = v.column10, played_at = v.column11, failed_at = v.column12,
			events = v.column13
			FROM `,
		form: asTable,
		columns: []kind{
			text.of(byWorld), text.of(byWorld), text, text, text.of(byCaller), text.of(byCaller), number.of(byCaller), number, number,
			number, number.of(byCaller), number.of(byCaller), text, text,
		},
		tail: ` WHERE messages.workspace_id = v.column1 AND messages.environment = v.column2 AND messages.id = v.column3
			AND messages.events = v.column14
			RETURNING 1 -- only: postgres
			`,
		exact: true,
	}
	updateOutbox = &rows{
		head:    `UPDATE outbox SET due_at = v.column4, attempts = v.column5, parked = (v.column6 = 1) FROM `,
		form:    asTable,
		columns: append(outboxKey, repeat(number, 3)...),
		tail:    ` WHERE outbox.instance_id = v.column1 AND outbox.priority = v.column2 AND outbox.position = v.column3`,
	}
	deleteOutbox = &rows{
		head: `DELETE FROM outbox
			WHERE (instance_id, priority, position) IN -- only: sqlite
			USING -- only: postgres
			`,
		form:    asKeys,
		columns: outboxKey,
		tail: `
			WHERE outbox.instance_id = v.column1 AND outbox.priority = v.column2 AND outbox.position = v.column3 -- only: postgres
			`,
	}
	outboxKey = []kind{text.of(byInstance), number.of(byCaller), number}
)

// save writes the states that changed and mends the outbox.
func (r *recording) save(ctx context.Context) error {
	var states, moved, gone []any
	for _, m := range r.order {
		if m.changed {
			states = append(states, &m.workspace, (*string)(&m.environment), &m.id)
			after := m.allSequences(r.events)
			states = append(stateArgs(states, &m.state), after, &m.sequences)
			r.b.left = append(r.b.left, left{m.id, known{
				tenancyKey{m.workspace, string(m.environment)}, m.instance, m.bulk, m.priority, m.position, m.state, after,
			}})
		}
		if m.moved != nil {
			parked := int64(0)
			if m.moved.Parked {
				parked = 1
			}
			moved = append(moved, &m.instance, m.priority, m.position, micros(m.moved.Due), int64(m.state.Attempts), parked)
		}
		if m.gone {
			gone = append(gone, &m.instance, m.priority, m.position)
		}
	}
	for _, w := range []struct {
		rows *rows
		args []any
	}{{updateStates, states}, {updateOutbox, moved}, {deleteOutbox, gone}} {
		if err := r.b.write(ctx, w.rows, w.args); err != nil {
			return fmt.Errorf("save states: %w", err)
		}
	}
	if err := r.saveReceived(ctx); err != nil {
		return err
	}
	if err := r.savePace(ctx); err != nil {
		return err
	}
	if err := r.saveRelinked(ctx); err != nil {
		return err
	}
	return r.saveEpoch(ctx)
}

// allSequences is what a message's row says of its events from now on.
func (m *recorded) allSequences(log *eventLog) string {
	all := []byte(m.sequences)
	for _, event := range m.events {
		all = append(all, ' ')
		all = strconv.AppendInt(all, log.sequence(event), 10)
	}
	return string(all)
}
