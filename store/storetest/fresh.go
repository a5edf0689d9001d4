package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"portaria/internal/testpg"
	"portaria/store"
)

// sqliteFile is the database in a data folder.
const sqliteFile = "portaria.db"

// Empty returns where a fresh database of an engine is, without tables.
func Empty(t testing.TB, engine string) store.Options {
	t.Helper()
	o := store.Options{DataDir: t.TempDir()}
	if engine == "postgres" {
		o.DatabaseURL = testpg.Database(t)
	}
	return o
}

// Options returns where a fresh database of an engine is, with tables and nothing
// in them. Most tests are quicker than the migrations: these run once in a test
// process, and what is returned is a copy.
func Options(t testing.TB, engine string) store.Options {
	t.Helper()
	o := store.Options{DataDir: t.TempDir()}
	if engine == "postgres" {
		o.DatabaseURL = testpg.Copy(t, "migrated", func(address string) error {
			return migrate(store.Options{DatabaseURL: address})
		})
		return o
	}
	file, err := migratedFile()
	if err != nil {
		t.Fatalf("migrate: %v", err)
	}
	if err := os.WriteFile(filepath.Join(o.DataDir, sqliteFile), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// migratedFile returns what a database of SQLite is before anything is written.
var migratedFile = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "portaria-migrated-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := migrate(store.Options{DataDir: dir}); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, sqliteFile))
})

func migrate(o store.Options) error {
	s, err := store.Open(context.Background(), o)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(context.Background()), s.Close())
}
