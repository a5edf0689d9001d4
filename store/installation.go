package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Fact reads a fact of the installation; empty when it was never set.
func (s *Store) Fact(ctx context.Context, name string) (value string, err error) {
	const q = `SELECT value FROM installation WHERE name = $1`
	err = s.r.GetContext(ctx, &value, q, name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("fact: %w", explain(err))
	}
	return value, nil
}

// SetFact writes a fact once: set is false when it has a value already, whoever
// wrote it.
func (s *Store) SetFact(ctx context.Context, name, value string) (set bool, err error) {
	const q = `INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, q, name, value)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		set = n == 1
		return err
	})
	return set, err
}
