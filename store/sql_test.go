package store_test

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"portaria/store"
)

// change runs a statement on a store's database behind its back.
func change(t *testing.T, o store.Options, statement string) {
	t.Helper()
	driver, address := "sqlite", "file:"+filepath.Join(o.DataDir, "portaria.db")+"?_pragma=busy_timeout(10000)"
	if o.DatabaseURL != "" {
		driver, address = "postgres", o.DatabaseURL
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// micros writes a time as the database does.
func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// cmpEmpty makes no difference between no slice and an empty one.
var cmpEmpty = cmpopts.EquateEmpty()
