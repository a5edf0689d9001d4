package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"
)

// A newcomer pastes from the README or from the banner; both must be the same
// command, or one of them is the one that nobody tried.
func TestReadmeShowsTheBannersCommand(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	command := firstMessage("http://127.0.0.1:8080", "$KEY")
	command = strings.Replace(command, `'Authorization: Bearer $KEY'`, `"Authorization: Bearer $KEY"`, 1)
	if !strings.Contains(string(readme), command) {
		t.Errorf("README.md does not hold the banner's command:\n%s", command)
	}
}

// makeNewer runs `newer`: the story's database was written by a later version
// of the program.
func makeNewer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: newer")
	}
	driver, address := "postgres", ts.Getenv("DATABASE_URL")
	if address == "" {
		driver, address = "sqlite", filepath.Join(ts.MkAbs("data"), "portaria.db")
	}
	db, err := sql.Open(driver, address)
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`)
	ts.Check(err)
}
