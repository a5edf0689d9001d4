package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/messaging"
)

var _ pairlink.Store = (*Store)(nil)

// pairingLinkLife is how long the row of a link outlives it, so that its page
// can still say what became of it.
const pairingLinkLife = 7 * 24 * time.Hour

// sweepPairingLinks deletes links that ended long ago.
const sweepPairingLinks = `DELETE FROM pairing_links WHERE token_hash IN (
	SELECT token_hash FROM pairing_links WHERE expires_at < $1 LIMIT $2)`

// pairingLinkRow is a row of pairing_links.
type pairingLinkRow struct {
	TokenHash   string `db:"token_hash"`
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	InstanceID  string `db:"instance_id"`
	Salt        string `db:"salt"`
	PINHash     string `db:"pin_hash"`
	WrongPINs   int    `db:"wrong_pins"`
	CreatedAt   int64  `db:"created_at"`
	ExpiresAt   int64  `db:"expires_at"`
	UsedAt      int64  `db:"used_at"`
}

const pairingLinkColumns = `token_hash, workspace_id, environment, instance_id, salt, pin_hash, wrong_pins, created_at, expires_at, used_at`

// link gives the row's link its tenancy, which opens its instance alone.
func (r *pairingLinkRow) link() pairlink.Link {
	return pairlink.Link{
		TokenHash: r.TokenHash,
		Tenancy: messaging.NewTenancy(r.WorkspaceID, messaging.Environment(r.Environment),
			messaging.OnlyInstances(r.InstanceID)),
		InstanceID: r.InstanceID, Salt: r.Salt, PINHash: r.PINHash, WrongPINs: r.WrongPINs,
		CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), UsedAt: fromMicros(r.UsedAt),
	}
}

// InsertPairingLink stores a link and its claim. Fault: ErrIdempotencyRace.
func (s *Store) InsertPairingLink(ctx context.Context, l pairlink.Link, claim *messaging.Claim) error {
	const q = `INSERT INTO pairing_links (` + pairingLinkColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	workspace, env := l.Tenancy.Workspace(), l.Tenancy.Environment()
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if claim != nil {
			if err := claimIn(ctx, tx, workspace, env, claim); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, q, l.TokenHash, workspace, string(env), l.InstanceID, l.Salt, l.PINHash, l.WrongPINs,
			micros(l.CreatedAt), micros(l.ExpiresAt), micros(l.UsedAt)); err != nil {
			return fmt.Errorf("insert pairing link: %w", err)
		}
		return nil
	})
}

// PairingLink finds a link by the hash of its token; fault.ErrNotFound.
func (s *Store) PairingLink(ctx context.Context, tokenHash string) (pairlink.Link, error) {
	const q = `SELECT ` + pairingLinkColumns + ` FROM pairing_links WHERE token_hash = $1`
	var row pairingLinkRow
	err := s.r.GetContext(ctx, &row, q, tokenHash)
	if errors.Is(err, sql.ErrNoRows) {
		return pairlink.Link{}, fault.ErrNotFound
	}
	if err != nil {
		return pairlink.Link{}, fmt.Errorf("pairing link: %w", explain(err))
	}
	return row.link(), nil
}

const (
	// selectLinkToTry locks what it reads where writers run side by side.
	selectLinkToTry = `SELECT ` + pairingLinkColumns + ` FROM pairing_links WHERE token_hash = $1 AND wrong_pins < $2
		FOR UPDATE -- only: postgres
`
	countWrongPIN = `UPDATE pairing_links SET wrong_pins = wrong_pins + 1 WHERE token_hash = $1`
)

// TryPairingPIN lets right look at a link that has fewer than most wrong PINs,
// and counts a wrong one. Fault: fault.ErrNotFound, also for a link that has
// no try left.
func (s *Store) TryPairingPIN(
	ctx context.Context, tokenHash string, most int, right func(pairlink.Link) bool,
) (ok bool, wrong int, err error) {
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		var row pairingLinkRow
		err := tx.GetContext(ctx, &row, s.engine.sql(selectLinkToTry), tokenHash, most)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("pairing link: %w", err)
		}
		if ok, wrong = right(row.link()), row.WrongPINs; ok {
			return nil
		}
		wrong++
		if _, err := tx.ExecContext(ctx, countWrongPIN, tokenHash); err != nil {
			return fmt.Errorf("count a wrong PIN: %w", err)
		}
		return nil
	})
	return ok && err == nil, wrong, err
}

// usePairingLinks ends the links of an instance that are still open.
const usePairingLinks = `UPDATE pairing_links SET used_at = $1 WHERE instance_id = $2 AND used_at = 0`

// UsePairingLinks ends every open link of an instance.
func (s *Store) UsePairingLinks(ctx context.Context, instanceID string, at time.Time) error {
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, usePairingLinks, micros(at), instanceID); err != nil {
			return fmt.Errorf("use pairing links: %w", err)
		}
		return nil
	})
}
