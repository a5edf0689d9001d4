package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portaria/store"
	"portaria/store/storetest"
)

func TestASoundDatabasePassesTheQuickCheck(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := s.QuickCheck(t.Context()); err != nil {
			t.Errorf("QuickCheck = %v", err)
		}
	})
}

// A file can open and still be damaged further in; an operator must be able to
// find out before the customers do.
func TestTheQuickCheckFindsADamagedPage(t *testing.T) {
	o := store.Options{DataDir: t.TempDir()}
	createAndClose(t, o)
	path := filepath.Join(o.DataDir, "portaria.db")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	copy(file[(rootPage(t, path, "sandbox_clocks")-1)*page:], "not what a page of a database begins with")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("the first pages are whole, yet Open = %v", err)
	}
	defer s.Close()
	if err := s.QuickCheck(t.Context()); !errors.Is(err, store.ErrDatabaseCorrupt) {
		t.Errorf("QuickCheck = %v, want DATABASE_CORRUPT", err)
	}
}

// rootPage is where a table of a database begins, counted from 1.
func rootPage(t *testing.T, path, table string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = $1`, table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// createAndClose leaves a migrated database whose pages are all in its file.
func createAndClose(t *testing.T, o store.Options) {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheDatabaseTellsItsTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		before := time.Now().Add(-time.Second)
		got, err := s.Clock(t.Context())
		if err != nil || got.Before(before) || got.After(time.Now().Add(time.Second)) {
			t.Errorf("Clock = %v, %v; want about %v", got, err, time.Now())
		}
	})
}
