package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "github.com/lib/pq" // the drivers that the product uses
	_ "modernc.org/sqlite"
)

// bareTable holds the rows of a bulk as plainly as a table can.
const bareTable = `CREATE TABLE recipients (bulk_id TEXT NOT NULL, row_number BIGINT NOT NULL, input TEXT NOT NULL, wa_id TEXT NOT NULL,
	variables TEXT NOT NULL, PRIMARY KEY (bulk_id, row_number))`

// bareRows measures how fast the database takes the rows of a bulk when it is
// asked for nothing else: by COPY on PostgreSQL, on SQLite by a prepared INSERT,
// in one transaction that is durable at its end.
func (b *bench) bareRows(ctx context.Context, engine string) (_ sample, err error) {
	db, drop, err := b.bareDatabase(ctx, engine)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, db.Close())
		drop()
	}()
	if _, err := db.ExecContext(ctx, bareTable); err != nil {
		return nil, err
	}
	began := time.Now()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err := insertBare(ctx, tx, engine); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	return sample{rate: bulkRows / time.Since(began).Seconds()}, nil
}

func insertBare(ctx context.Context, tx *sql.Tx, engine string) (err error) {
	statement := `INSERT INTO recipients (bulk_id, row_number, input, wa_id, variables) VALUES (?, ?, ?, ?, ?)`
	if engine == postgres {
		statement = `COPY recipients (bulk_id, row_number, input, wa_id, variables) FROM STDIN`
	}
	s, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i := range bulkRows {
		digits := fmt.Sprintf("55119%08d", i)
		variables := fmt.Sprintf(`{"name":"Customer %d","order":"A-%07d"}`, i, i)
		if _, err := s.ExecContext(ctx, "blk_00000000000000000000000000", i+1, "+"+digits, digits+"@s.whatsapp.net", variables); err != nil {
			return err
		}
	}
	if engine == postgres {
		_, err = s.ExecContext(ctx) // the end of the COPY
	}
	return err
}

// bareDatabase opens an empty database, as durable as the product's.
func (b *bench) bareDatabase(ctx context.Context, engine string) (db *sql.DB, drop func(), err error) {
	if engine == postgres {
		address, drop, err := b.database.server.NewDatabase(ctx)
		if err != nil {
			return nil, nil, err
		}
		if db, err = sql.Open("postgres", address); err != nil {
			drop()
		}
		return db, drop, err
	}
	dir, err := b.freshDir()
	if err != nil {
		return nil, nil, err
	}
	query := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)"}, "_txlock": {"immediate"}}
	db, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "bare.db")+"?"+query.Encode())
	return db, func() {}, err
}
