package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

var (
	_ sandbox.Store      = (*Store)(nil)
	_ sandbox.ClockStore = (*Store)(nil)
)

// Carry stores what the simulated network takes, in a commit shared with other
// callers. A message that its instance carried before stays as it was.
func (s *Store) Carry(ctx context.Context, batch []sandbox.Carried) ([]sandbox.Taken, error) {
	taken := make([]sandbox.Taken, len(batch))
	jobs := s.committer.parts(len(batch), true, func(from, to int) *job {
		return &job{station: stationCarry, payload: &carrying{batch[from:to], taken[from:to]}, weight: to - from}
	})
	if err := s.committer.submit(ctx, jobs...); err != nil {
		return nil, fmt.Errorf("carry: %w", err)
	}
	return taken, nil
}

// carrying is one call of Carry.
type carrying struct {
	batch []sandbox.Carried
	taken []sandbox.Taken
}

var (
	insertCarriages = &rows{
		head: insertInto + `sandbox_carriages (workspace_id, environment, instance_id, wa_message_id, message_id, peer_input,
			peer_wa_id, kind, content, sandbox, carried_at) `,
		columns: []kind{
			text.of(byWorld), text.of(byWorld), text.of(byInstance), text, text, text, text, text.of(byCaller), text, text.of(byCaller), number,
		},
	}
	insertOwed = &rows{
		head:    insertInto + `sandbox_owed (id, instance_id, wa_message_id) `,
		columns: []kind{text, text.of(byInstance), text},
	}

	// What may be there already costs more to insert.
	insertNewCarriages = &rows{
		head: insertCarriages.head, columns: insertCarriages.columns, tail: ` ON CONFLICT (instance_id, wa_message_id) DO NOTHING`,
	}
	insertNewOwed = &rows{head: insertOwed.head, columns: insertOwed.columns, tail: ` ON CONFLICT DO NOTHING`}
)

// carrySlot is one message of a batch and the place of its answer.
type carrySlot struct {
	message *sandbox.Carried
	taken   *sandbox.Taken
	before  bool // it was carried before
}

// applyCarriages inserts all rows and notes what is owed. Nearly always all are
// new: only when the database has refused them, as after a crash, those that were
// carried before are told apart.
func applyCarriages(ctx context.Context, b *batchConn, jobs []*job) error {
	var slots []carrySlot
	var args []any
	for _, j := range jobs {
		c := j.payload.(*carrying)
		for i := range c.batch {
			var err error
			if args, err = carriageArgs(args, &c.batch[i]); err != nil {
				return err
			}
			slots = append(slots, carrySlot{message: &c.batch[i], taken: &c.taken[i]})
		}
	}
	if b.wary {
		return carryNew(ctx, b, slots, args)
	}
	if err := b.write(ctx, insertCarriages, args); err != nil {
		return fmt.Errorf("insert carriages: %w", err)
	}
	for i := range slots {
		slots[i].take()
	}
	return insertDebts(ctx, b, insertOwed, slots)
}

// take answers for a message that is new.
func (slot *carrySlot) take() {
	*slot.taken = sandbox.Taken{Owed: slot.message.Owes, CarriedAt: clip(slot.message.CarriedAt)}
}

// carryNew inserts those rows that are new, notes what is owed for them, and
// answers for the others what is kept.
func carryNew(ctx context.Context, b *batchConn, slots []carrySlot, args []any) error {
	left := slots
	err := b.each(insertNewCarriages, args, func(text string, n int, args []any) error {
		chunk := left[:n]
		left = left[n:]
		inserted, err := b.exec(ctx, text, args...)
		if err != nil {
			return err
		}
		fresh, err := inserted.RowsAffected()
		if err != nil {
			return err
		}
		return takeChunk(ctx, b, chunk, int(fresh) == n)
	})
	if err != nil {
		return fmt.Errorf("insert carriages: %w", err)
	}
	if err := insertDebts(ctx, b, insertNewOwed, slots); err != nil {
		return err
	}
	for _, slot := range slots {
		if !slot.before {
			continue
		}
		if *slot.taken, err = carriedBefore(ctx, b, slot.message.Key()); err != nil {
			return fmt.Errorf("carried before: %w", err)
		}
	}
	return nil
}

// takeChunk answers for the rows of one statement. When some of them are not new,
// the rows are looked up one by one, and those that are not as this call wrote them
// were there before.
func takeChunk(ctx context.Context, b *batchConn, chunk []carrySlot, fresh bool) error {
	for i := range chunk {
		slot := &chunk[i]
		slot.take()
		if fresh {
			continue
		}
		kept, err := carriedBefore(ctx, b, slot.message.Key())
		if err != nil {
			return err
		}
		slot.before = !kept.CarriedAt.Equal(slot.taken.CarriedAt)
	}
	return nil
}

// insertDebts notes what is owed. To note it again for a message that was
// carried before at the same microsecond (a frozen clock) does no harm: its
// receipts are reported twice.
func insertDebts(ctx context.Context, b *batchConn, insert *rows, slots []carrySlot) error {
	var owed []any
	for _, slot := range slots {
		if slot.taken.Owed && !slot.before {
			owed = append(owed, owedID(slot.message.Key()), slot.message.InstanceID, slot.message.WAMessageID)
		}
	}
	if err := b.write(ctx, insert, owed); err != nil {
		return fmt.Errorf("insert owed: %w", err)
	}
	return nil
}

// carriageArgs appends one row for insertCarriages.
func carriageArgs(args []any, c *sandbox.Carried) ([]any, error) {
	content, err := encodeContent(c.Content)
	if err != nil {
		return nil, err
	}
	override, err := encodeOverride(c.Sandbox)
	if err != nil {
		return nil, err
	}
	return append(args, &c.WorkspaceID, string(messaging.Test), &c.InstanceID, &c.WAMessageID, &c.MessageID, &c.To.Input, &c.To.WAID,
		(*string)(&c.Content.Kind), content, override, micros(c.CarriedAt)), nil
}

const selectCarriedBefore = `SELECT c.carried_at, (
		SELECT COUNT(*) FROM sandbox_owed o WHERE o.id = $3
	) FROM sandbox_carriages c WHERE c.instance_id = $1 AND c.wa_message_id = $2`

func carriedBefore(ctx context.Context, b *batchConn, key sandbox.CarriageKey) (taken sandbox.Taken, err error) {
	found, err := b.query(ctx, selectCarriedBefore, key.InstanceID, key.WAMessageID, owedID(key))
	if err != nil {
		return taken, err
	}
	defer func() { err = errorsJoinClose(err, found) }()
	if !found.Next() {
		return taken, errors.Join(sql.ErrNoRows, found.Err())
	}
	var at, owed int64
	if err := found.Scan(&at, &owed); err != nil {
		return taken, err
	}
	return sandbox.Taken{Owed: owed > 0, CarriedAt: fromMicros(at)}, nil
}

// Settle forgets what is owed for messages, in a commit shared with other
// callers.
func (s *Store) Settle(ctx context.Context, keys []sandbox.CarriageKey) error {
	if len(keys) == 0 {
		return nil
	}
	jobs := s.committer.parts(len(keys), true, func(from, to int) *job {
		return &job{station: stationSettle, payload: keys[from:to], weight: 1 + (to-from)/2}
	})
	if err := s.committer.submit(ctx, jobs...); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// owedID is the key of a debt.
func owedID(k sandbox.CarriageKey) string { return k.InstanceID + "/" + k.WAMessageID }

var deleteOwed = &rows{head: `DELETE FROM sandbox_owed WHERE id IN `, form: asList, columns: repeat(text, 1)}

func applySettlements(ctx context.Context, b *batchConn, jobs []*job) error {
	var args []any
	for _, j := range jobs {
		for _, key := range j.payload.([]sandbox.CarriageKey) {
			args = append(args, owedID(key))
		}
	}
	if err := b.write(ctx, deleteOwed, args); err != nil {
		return fmt.Errorf("delete owed: %w", err)
	}
	return nil
}

// carriageRow is a row of sandbox_carriages.
type carriageRow struct {
	Position    int64  `db:"position"`
	WorkspaceID string `db:"workspace_id"`
	InstanceID  string `db:"instance_id"`
	WAMessageID string `db:"wa_message_id"`
	MessageID   string `db:"message_id"`
	PeerInput   string `db:"peer_input"`
	PeerWAID    string `db:"peer_wa_id"`
	Kind        string `db:"kind"`
	Content     string `db:"content"`
	Sandbox     string `db:"sandbox"`
	CarriedAt   int64  `db:"carried_at"`
}

const carriageColumns = `c.position, c.workspace_id, c.instance_id, c.wa_message_id, c.message_id, c.peer_input, c.peer_wa_id,
	c.kind, c.content, c.sandbox, c.carried_at`

func (r *carriageRow) carriage() (messaging.Carriage, error) {
	content, err := decodeContent(r.Kind, r.Content)
	if err != nil {
		return messaging.Carriage{}, err
	}
	override, err := decodeOverride(r.Sandbox)
	if err != nil {
		return messaging.Carriage{}, err
	}
	return messaging.Carriage{
		Position: r.Position, WAMessageID: r.WAMessageID, MessageID: r.MessageID, InstanceID: r.InstanceID,
		To:      messaging.Address{Input: r.PeerInput, WAID: r.PeerWAID},
		Content: content, Sandbox: override, CarriedAt: fromMicros(r.CarriedAt),
	}, nil
}

// selectOwed takes its page from sandbox_owed, which is short, before it looks
// at what the network ever carried.
const selectOwed = `SELECT ` + carriageColumns + `
	FROM (SELECT id, instance_id, wa_message_id FROM sandbox_owed WHERE id > $1 ORDER BY id LIMIT $2) o
	JOIN sandbox_carriages c ON c.instance_id = o.instance_id AND c.wa_message_id = o.wa_message_id
	ORDER BY o.id`

// Owed returns carriages for which something is owed, of all workspaces: it is
// a recovery scan.
func (s *Store) Owed(ctx context.Context, after sandbox.CarriageKey, limit int) ([]sandbox.Carried, error) {
	var found []carriageRow
	if err := s.r.SelectContext(ctx, &found, selectOwed, owedID(after), limit); err != nil {
		return nil, fmt.Errorf("owed: %w", explain(err))
	}
	out := make([]sandbox.Carried, len(found))
	for i := range found {
		c, err := found[i].carriage()
		if err != nil {
			return nil, fmt.Errorf("owed: message %s: %w", found[i].MessageID, err)
		}
		out[i] = sandbox.Carried{WorkspaceID: found[i].WorkspaceID, Owes: true, Carriage: c}
	}
	return out, nil
}

const selectCarriages = `SELECT ` + carriageColumns + ` FROM sandbox_carriages c WHERE c.workspace_id = $1 AND c.environment = $2`

// Carriages lists what the simulated network carried, newest first: up to one
// more than page.Limit. Fault: fault.ErrBadRequest for a cursor that is none.
func (s *Store) Carriages(ctx context.Context, t messaging.Tenancy, instanceID string, page messaging.Page) ([]messaging.Carriage, error) {
	q := newQuery(selectCarriages, t)
	q.instances("c.instance_id", t.Allowlist(), instanceID)
	if page.Cursor != "" {
		position, err := strconv.ParseInt(page.Cursor, 10, 64)
		if err != nil {
			return nil, fault.ErrBadRequest.Saying("This cursor cannot be used.")
		}
		q.and("c.position < ", position)
	}
	q.tail(" ORDER BY c.position DESC LIMIT ", page.Limit+1)

	var found []carriageRow
	if err := s.r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("carriages: %w", explain(err))
	}
	out := make([]messaging.Carriage, 0, len(found))
	for i := range found {
		c, err := found[i].carriage()
		if err != nil {
			return nil, fmt.Errorf("carriages: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// SandboxClock returns the clock of a workspace's test world.
func (s *Store) SandboxClock(ctx context.Context, workspace string) (sandbox.SavedClock, error) {
	const q = `SELECT mode, offset_us, frozen_at FROM sandbox_clocks WHERE workspace_id = $1`
	var row struct {
		Mode     sandbox.Mode `db:"mode"`
		OffsetUS int64        `db:"offset_us"`
		FrozenAt int64        `db:"frozen_at"`
	}
	err := s.r.GetContext(ctx, &row, q, workspace)
	if errors.Is(err, sql.ErrNoRows) {
		return sandbox.SavedClock{Mode: sandbox.Real}, nil
	}
	if err != nil {
		return sandbox.SavedClock{}, fmt.Errorf("sandbox clock: %w", explain(err))
	}
	return sandbox.SavedClock{
		Mode: row.Mode, Offset: time.Duration(row.OffsetUS) * time.Microsecond, FrozenAt: fromMicros(row.FrozenAt),
	}, nil
}

// SaveSandboxClock stores the clock of a workspace's test world.
func (s *Store) SaveSandboxClock(ctx context.Context, workspace string, saved sandbox.SavedClock) error {
	const q = `INSERT INTO sandbox_clocks (workspace_id, mode, offset_us, frozen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace_id) DO UPDATE SET mode = excluded.mode, offset_us = excluded.offset_us, frozen_at = excluded.frozen_at`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, q, workspace, string(saved.Mode), saved.Offset.Microseconds(), micros(saved.FrozenAt))
		return err
	})
}
