package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// nodeClaims are the nodes that this process has renewed: one of them whose row
// is absent has been taken for gone.
type nodeClaims struct {
	mu    sync.Mutex
	nodes map[string]bool
}

// strangerGrace is how old the deliveries of a node without a row must be before
// another takes them: that node may have queued them before its first Renew, or
// after it was taken for gone and before it noticed.
const strangerGrace = 30 * time.Second

const upsertNode = `INSERT INTO nodes (id, until_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET until_at = excluded.until_at`

// Renew makes a node's claims hold until a time of the machine. It reports false
// when another has adopted its deliveries since the last Renew; from now on the
// claims of the node hold again.
func (s *Store) Renew(ctx context.Context, node string, until time.Time) (alive bool, err error) {
	const prolong = `UPDATE nodes SET until_at = $1 WHERE id = $2`
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, prolong, micros(until), node)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil || n > 0 {
			alive = n > 0
			return err
		}
		alive = !s.claims.nodes[node]
		_, err = tx.ExecContext(ctx, upsertNode, node, micros(until))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew node: %w", err)
	}
	if s.claims.nodes == nil {
		s.claims.nodes = make(map[string]bool, 1)
	}
	s.claims.nodes[node] = true
	return alive, nil
}

// Leave ends a node's claims at once.
func (s *Store) Leave(ctx context.Context, node string) error {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, upsertNode, node, int64(0))
		return err
	})
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	delete(s.claims.nodes, node)
	return nil
}

// Adopt gives a node the pending deliveries of nobody and of nodes whose claims
// have ended at now, of the machine, and returns the endpoints concerned, each
// once. alone takes all others for gone. Nothing is written when nobody is gone.
func (s *Store) Adopt(ctx context.Context, node string, now time.Time, alone bool) (webhookIDs []string, err error) {
	a := adoption{store: s, node: node, now: now, alone: alone}
	if gone, err := a.gone(ctx, s.r); err != nil || len(gone) == 0 {
		return nil, err
	}
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		webhookIDs, err = a.in(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(webhookIDs)
	return slices.Compact(webhookIDs), nil
}

// adoption is one call of Adopt.
type adoption struct {
	store *Store
	node  string
	now   time.Time
	alone bool
}

// predecessor is a node that has ended, or seems to have.
type predecessor struct {
	id    string
	known bool // it has a row in nodes
}

// gone finds those who have ended: of the nodes, and of those to whom deliveries
// belong.
func (a adoption) gone(ctx context.Context, r reader) (gone []predecessor, err error) {
	const q = `SELECT id, until_at FROM nodes WHERE id <> $1`
	var nodes []struct {
		ID      string `db:"id"`
		UntilAt int64  `db:"until_at"`
	}
	if err := r.SelectContext(ctx, &nodes, q, a.node); err != nil {
		return nil, fmt.Errorf("nodes: %w", explain(err))
	}
	known := map[string]bool{a.node: true}
	for _, n := range nodes {
		known[n.ID] = true
		if a.alone || n.UntilAt <= micros(a.now) {
			gone = append(gone, predecessor{n.ID, true})
		}
	}
	owners, err := pendingNodes(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, id := range owners {
		if !known[id] {
			gone = append(gone, predecessor{id, false})
		}
	}
	return gone, nil
}

const (
	// endNode locks the row of a node: of two who adopt at once, one deletes it.
	endNode = `DELETE FROM nodes WHERE id = $1 AND until_at <= $2`

	adoptDeliveries = `UPDATE webhook_deliveries SET node = $1 WHERE state = 'pending' AND node = $2 RETURNING webhook_id`
	adoptStrangers  = `UPDATE webhook_deliveries SET node = $1 WHERE state = 'pending' AND node = $2 AND id < $3 RETURNING webhook_id`
)

// in adopts in a transaction: it finds anew who is gone.
func (a adoption) in(ctx context.Context, tx *sqlx.Tx) (webhookIDs []string, err error) {
	gone, err := a.gone(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, p := range gone {
		moved, err := a.take(ctx, tx, p)
		if err != nil {
			return nil, fmt.Errorf("adopt: %w", err)
		}
		webhookIDs = append(webhookIDs, moved...)
	}
	return webhookIDs, nil
}

// take moves the deliveries of one who has ended, and returns the endpoint of
// each.
func (a adoption) take(ctx context.Context, tx *sqlx.Tx, p predecessor) (moved []string, err error) {
	if !p.known && p.id != "" && !a.alone {
		before := messaging.NewID(messaging.DeliveryPrefix, time.Now().Add(-strangerGrace))
		err := tx.SelectContext(ctx, &moved, adoptStrangers, a.node, p.id, before)
		return moved, err
	}
	if p.known {
		ended := micros(a.now)
		if a.alone {
			ended = math.MaxInt64
		}
		res, err := tx.ExecContext(ctx, endNode, p.id, ended)
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return nil, err // it has renewed, or another adopts it
		}
	}
	err = tx.SelectContext(ctx, &moved, adoptDeliveries, a.node, p.id)
	return moved, err
}
