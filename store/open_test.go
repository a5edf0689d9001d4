package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"portaria/store"
	"portaria/store/storetest"
)

// A promise of durability that rests on a pragma must be checked: the driver
// ignores a misspelt one in silence.
func TestSQLiteIsOpenedWithFullDurability(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, store.Options{DataDir: dir})
	if got := s.Engine(); got != "sqlite" {
		t.Fatalf("engine = %q", got)
	}
	info, err := os.Stat(filepath.Join(dir, "portaria.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of the database = %o, want 600", got)
	}
}

func TestMigratingTwiceChangesNothing(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			s := storetest.Open(t, storetest.Empty(t, engine)) // which migrates it
			if err := s.Migrate(context.Background()); err != nil {
				t.Fatal(err)
			}
			current, newest, err := s.Schema(context.Background())
			if err != nil || current != newest || newest == 0 {
				t.Errorf("schema = %d of %d, %v", current, newest, err)
			}
		})
	}
}

// Running an old binary on a new database must not destroy what it does not know.
func TestADatabaseNewerThanTheBinaryIsRefused(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			storetest.Open(t, o)
			driver, dsn := "postgres", o.DatabaseURL
			if engine == "sqlite" {
				driver, dsn = "sqlite", filepath.Join(o.DataDir, "portaria.db")
			}
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`); err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Migrate(t.Context()); !errors.Is(err, store.ErrDatabaseNewer) {
				t.Errorf("Migrate = %v, want DATABASE_NEWER", err)
			}
		})
	}
}

// Two servers would each hold all lanes and send everything twice as often.
func TestASecondServerOnOneDatabaseIsRefused(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			o.Exclusive = true
			first, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrDatabaseLocked) {
				t.Errorf("second Open = %v, want DATABASE_IN_USE", err)
			}
			beside := o
			beside.Exclusive = false
			storetest.Open(t, beside) // an admin command beside the server
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			storetest.Open(t, o) // the lock goes with its holder
		})
	}
}

func TestUnusableDatabasesSayWhatToDo(t *testing.T) {
	corrupt := t.TempDir()
	if err := os.WriteFile(filepath.Join(corrupt, "portaria.db"), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corrupt, "portaria.db"), []byte("this is certainly not a database, whatever its name says it is\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options store.Options
		want    error
	}{
		"a file that is no database": {store.Options{DataDir: corrupt}, store.ErrDatabaseCorrupt},
		"a folder that is not there": {store.Options{DataDir: filepath.Join(corrupt, "absent")}, store.ErrDataDir},
		"a URL of another kind":      {store.Options{DatabaseURL: "mysql://root@localhost/x"}, store.ErrDatabaseURL},
		"a server that is not there": {store.Options{DatabaseURL: "postgres://u:s3cret@127.0.0.1:1/x?sslmode=disable"}, store.ErrDatabaseUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), c.options)
			if !errors.Is(err, c.want) {
				t.Errorf("Open = %v, want %v", err, c.want)
			}
		})
	}
}
