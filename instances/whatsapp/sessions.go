package whatsapp

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
)

// Sessions keeps the linked sessions of all instances: keys, ratchets and what
// WhatsApp's contacts are known by. It is whatsmeow's own store, in its own
// tables.
type Sessions struct {
	container *sqlstore.Container
	scribe    *scribe
}

// OpenSessions brings the tables to this version's schema. The dialect is
// "sqlite3" or "postgres". The database stays its owner's, who closes it.
func OpenSessions(ctx context.Context, db *sql.DB, dialect string, log *slog.Logger) (*Sessions, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	container := sqlstore.NewWithDB(db, dialect, clientLog{log})
	if err := container.Upgrade(ctx); err != nil {
		return nil, fmt.Errorf("whatsapp sessions: %w", err)
	}
	anyones := sqlstore.NewSQLStore(container, types.EmptyJID) // for a transaction that is of no session in particular
	return &Sessions{container: container, scribe: &scribe{begin: anyones.DoDecryptionTxn}}, nil
}

// find returns the session that an instance is linked by; nil when there is
// none.
func (s *Sessions) find(ctx context.Context, linkedID string) (*store.Device, error) {
	jid, err := types.ParseJID(linkedID)
	if err != nil || jid.IsEmpty() {
		return nil, nil //nolint:nilerr,nilnil // an id that is none names no session
	}
	device, err := s.container.GetDevice(ctx, jid)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return device, nil
}

// fresh returns a session that no phone is linked to yet. It is stored when one
// is.
func (s *Sessions) fresh() *store.Device { return s.container.NewDevice() }

// forget deletes a session. One that is gone is forgotten already.
func (s *Sessions) forget(ctx context.Context, jid types.JID) error {
	if err := s.container.DeleteDevice(ctx, &store.Device{ID: &jid}); err != nil {
		return fmt.Errorf("forget session: %w", err)
	}
	return nil
}
