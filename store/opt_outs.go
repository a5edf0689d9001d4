package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// optOutRow is a row of opt_outs.
type optOutRow struct {
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	InstanceID  string `db:"instance_id"`
	PeerInput   string `db:"peer_input"`
	PeerWAID    string `db:"peer_wa_id"`
	Keyword     string `db:"keyword"`
	KeyID       string `db:"key_id"`
	CreatedAt   int64  `db:"created_at"`
}

const (
	selectOptOuts = `SELECT o.workspace_id, o.environment, o.instance_id, o.peer_input, o.peer_wa_id, o.keyword, o.key_id, o.created_at
		FROM opt_outs o WHERE o.workspace_id = $1 AND o.environment = $2`

	insertOptOut = `INSERT INTO opt_outs (workspace_id, environment, person, instance_id, peer_input, peer_wa_id, keyword, key_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`
)

func optOutArgs(o *messaging.OptOut) []any {
	return []any{
		o.WorkspaceID, string(o.Environment), messaging.Person(o.To.WAID), o.InstanceID, o.To.Input, o.To.WAID, o.Keyword, o.KeyID,
		micros(o.CreatedAt),
	}
}

func (r *optOutRow) optOut() messaging.OptOut {
	return messaging.OptOut{
		WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), InstanceID: r.InstanceID,
		To: messaging.Address{Input: r.PeerInput, WAID: r.PeerWAID}, Keyword: r.Keyword, KeyID: r.KeyID, CreatedAt: fromMicros(r.CreatedAt),
	}
}

// OptOut notes a person once; what is noted already stays as it is and is
// returned.
func (s *Store) OptOut(ctx context.Context, o messaging.OptOut) (noted messaging.OptOut, err error) {
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, insertOptOut, optOutArgs(&o)...); err != nil {
			return err
		}
		noted, err = readOptOut(ctx, tx, messaging.World{WorkspaceID: o.WorkspaceID, Environment: o.Environment}, o.InstanceID, messaging.Person(o.To.WAID))
		return err
	})
	if err != nil {
		return messaging.OptOut{}, fmt.Errorf("opt out: %w", err)
	}
	return noted, nil
}

// OptIn forgets one opt-out and returns it. An instance id is empty for that of
// the whole workspace, which only a tenancy that is not locked opens. Fault:
// fault.ErrNotFound.
func (s *Store) OptIn(ctx context.Context, t messaging.Tenancy, instanceID, person string) (gone messaging.OptOut, err error) {
	const forget = `DELETE FROM opt_outs WHERE workspace_id = $1 AND environment = $2 AND person = $3 AND instance_id = $4`
	if !t.Allowlist().Opens(instanceID) {
		return messaging.OptOut{}, fault.ErrNotFound
	}
	world := messaging.World{WorkspaceID: t.Workspace(), Environment: t.Environment()}
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if gone, err = readOptOut(ctx, tx, world, instanceID, person); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, forget, world.WorkspaceID, string(world.Environment), person, instanceID)
		return err
	})
	if err != nil {
		return messaging.OptOut{}, fmt.Errorf("opt in: %w", err)
	}
	return gone, nil
}

func readOptOut(ctx context.Context, tx queryer, w messaging.World, instanceID, person string) (messaging.OptOut, error) {
	var row optOutRow
	err := tx.GetContext(ctx, &row, selectOptOuts+" AND o.person = $3 AND o.instance_id = $4", w.WorkspaceID, string(w.Environment), person, instanceID)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.OptOut{}, fault.ErrNotFound
	}
	return row.optOut(), err
}

// OptOuts lists opt-outs that a tenancy opens, newest first: up to one more than
// page.Limit. An instance and a person narrow when given; the cursor is that of
// bulk.OptOutCursor. Fault: fault.ErrBadRequest for a cursor that is none.
func (s *Store) OptOuts(ctx context.Context, t messaging.Tenancy, instanceID, person string, page messaging.Page) ([]messaging.OptOut, error) {
	q := newQuery(selectOptOuts, t)
	q.instances("o.instance_id", t.Allowlist(), instanceID)
	if person != "" {
		q.and("o.person = ", person)
	}
	if page.Cursor != "" {
		last, ok := bulk.ParseOptOutCursor(page.Cursor)
		if !ok {
			return nil, fault.ErrBadRequest.Saying("This cursor cannot be used.")
		}
		q.and("(o.created_at, o.person, o.instance_id) < (", micros(last.CreatedAt))
		q.tail(", ", last.Person)
		q.tail(", ", last.InstanceID)
		q.b.WriteString(")")
	}
	q.tail(" ORDER BY o.created_at DESC, o.person DESC, o.instance_id DESC LIMIT ", page.Limit+1)
	var found []optOutRow
	if err := s.r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("opt-outs: %w", explain(err))
	}
	out := make([]messaging.OptOut, len(found))
	for i := range found {
		out[i] = found[i].optOut()
	}
	return out, nil
}

// OptOutKeyword sets who knows the words by which a contact opts out of an
// instance's bulks. It is asked once for each inbound text message that is new,
// in the transaction that records the message: it must not block. It is set once,
// before the first write.
func (s *Store) OptOutKeyword(f func(m *messaging.Message) (keyword string, ok bool)) { s.keyword = f }

// optOut notes the sender of a message that is an opt-out.
func (r *recording) optOut(ctx context.Context, m *messaging.Message) error {
	known := r.b.store.keyword
	if known == nil || m.Content.Kind != messaging.KindText || m.Content.Text == nil {
		return nil
	}
	keyword, ok := known(m)
	if !ok {
		return nil
	}
	o := messaging.OptOut{
		WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, To: m.Peer, Keyword: storable(keyword),
		CreatedAt: m.CreatedAt,
	}
	if _, err := r.b.exec(ctx, insertOptOut, optOutArgs(&o)...); err != nil {
		return fmt.Errorf("opt out: %w", err)
	}
	return nil
}
