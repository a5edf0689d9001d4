package store_test

import (
	"database/sql"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// logRows gives a book rows of a tenancy.
func logRows(book *store.LogBook, tenancy messaging.Tenancy, rows int, route string) {
	for range rows {
		book.Log(messaging.RequestLog{WorkspaceID: tenancy.Workspace(), Environment: messaging.Test, At: time.Now(), Route: route})
	}
}

// A row that no database takes costs those it shares a statement with, and keeps
// no other from being written.
func TestARequestLogThatIsRefusedForEverIsDropped(t *testing.T) {
	refusing := map[string]string{
		"postgres": `ALTER TABLE api_logs ADD CHECK (route <> 'bad')`,
		"sqlite": `CREATE TRIGGER refuse BEFORE INSERT ON api_logs WHEN NEW.route = 'bad'
			BEGIN SELECT RAISE(ABORT, 'no'); END`,
	}
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s := storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			change(t, o, refusing[engine])
			book := s.LogBook()
			logRows(book, tenancy, 1, "bad")
			logRows(book, tenancy, 300, "good") // 255 of them beside the bad one
			if err := book.Flush(); err == nil {
				t.Error("the bad row is taken")
			}
			if got := logged(t, s, tenancy); got != 45 {
				t.Errorf("%d rows, want 45", got)
			}
		})
	}
}

// What the database refuses for a reason that may pass waits, and is not said
// again at once.
func TestRequestLogsWaitForWhatPasses(t *testing.T) {
	for _, state := range []string{"53100", "40001", "25006"} {
		t.Run(state, func(t *testing.T) {
			o := storetest.Options(t, "postgres")
			s := storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			book := s.LogBook()
			logRows(book, tenancy, 1, "/v1/me")
			if err := book.Flush(); err != nil { // the connection is open from here on
				t.Fatal(err)
			}
			change(t, o, `CREATE SEQUENCE tries`)
			change(t, o, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
				$$BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'no' USING ERRCODE = '`+state+`'; END$$`)
			change(t, o, `CREATE TRIGGER refuse BEFORE INSERT ON api_logs EXECUTE FUNCTION refuse()`)
			logRows(book, tenancy, 300, "/v1/me")
			if err := book.Flush(); err == nil {
				t.Error("rows are written that were refused")
			}
			if tries := asked(t, o, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries`); tries != "1" {
				t.Errorf("said %s times, want once", tries)
			}
			change(t, o, `DROP TRIGGER refuse ON api_logs`)
			if err := book.Flush(); err != nil {
				t.Error(err)
			}
			if got := logged(t, s, tenancy); got != 301 {
				t.Errorf("%d rows, want 301", got)
			}
		})
	}
}

// A message that was accepted is on the disk; a row of the log need not be.
func TestOnlyRequestLogsDoNotWaitForTheDisk(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	change(t, o, `CREATE TABLE seen (place TEXT, source TEXT)`)
	change(t, o, `CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO seen SELECT TG_TABLE_NAME, source FROM pg_settings WHERE name = 'synchronous_commit'; RETURN NULL; END$$`)
	change(t, o, `CREATE TRIGGER look AFTER INSERT ON api_logs EXECUTE FUNCTION look()`)
	change(t, o, `CREATE TRIGGER look AFTER INSERT ON messages EXECUTE FUNCTION look()`)
	book := s.LogBook()
	for range 2 {
		logRows(book, tenancy, 1, "/v1/me")
		if err := book.Flush(); err != nil {
			t.Fatal(err)
		}
		m := storetest.Message(i, "15005550006", "x")
		if err := s.Accept(t.Context(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
			t.Fatal(err)
		}
	}
	const q = `SELECT STRING_AGG(place || CASE source WHEN 'session' THEN ' lazily' ELSE ' as the server says' END, ', ' ORDER BY place) FROM seen`
	const want = "api_logs lazily, api_logs lazily, messages as the server says, messages as the server says"
	if got := asked(t, o, q); got != want {
		t.Errorf("written: %s; want %s", got, want)
	}
}

// asked reads one value of a store's PostgreSQL behind its back.
func asked(t *testing.T, o store.Options, query string) (answer string) {
	t.Helper()
	db, err := sql.Open("postgres", o.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}
