package store_test

import (
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// A report that is all reads and held writes says no BEGIN. It must all the same
// notice that its connection is gone, or a receipt that is repeated for ever
// would hold up whatever comes behind it.
func TestReportsGoOnAfterTheDatabaseCutTheConnection(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	m := storetest.Message(i, "15005550006", "x")
	accept(t, s, &m)
	for _, status := range []messaging.Status{messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead} {
		cutAll(t, o.DatabaseURL)
		err := s.Report(t.Context(), messaging.StatusChange{
			WorkspaceID: i.WorkspaceID, Environment: i.Environment, MessageID: m.ID, Status: status, At: time.Now(),
		})
		if err != nil {
			t.Errorf("report %s: %v", status, err)
		}
	}
	got, err := s.Message(t.Context(), tenancy, m.ID)
	if err != nil || got.Status != messaging.StatusRead {
		t.Errorf("status = %s, %v; want read", got.Status, err)
	}
}

// The rows of the log have a connection of their own, which may rest for long.
func TestRequestLogsGoOnAfterTheDatabaseCutTheConnection(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	book := s.LogBook()
	for n := range 3 {
		logRows(book, tenancy, 1, "/v1/me")
		if err := book.Flush(); err != nil {
			t.Errorf("flush %d: %v", n, err)
		}
		cutAll(t, o.DatabaseURL)
	}
	if got := logged(t, s, tenancy); got != 3 {
		t.Errorf("%d rows, want 3", got)
	}
}

// While the database is away, the rows of the log wait, as many as there is room
// for.
func TestRequestLogsWaitForTheDatabase(t *testing.T) {
	o := storetest.Options(t, "postgres")
	var away atomic.Bool
	o.DatabaseURL = standBefore(t, o.DatabaseURL, func(client, server net.Conn) {
		defer client.Close()
		defer server.Close()
		relay(client, server, func(said []byte) error {
			if away.Load() {
				return net.ErrClosed
			}
			_, err := server.Write(said)
			return err
		})
	})
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	book := s.LogBook()
	logRows(book, tenancy, 700, "/v1/me")
	away.Store(true)
	for range 3 {
		if err := book.Flush(); err == nil {
			t.Error("rows are written while the database is away")
		}
		logRows(book, tenancy, 100, "/v1/me")
	}
	away.Store(false)
	if err := book.Flush(); err != nil {
		t.Errorf("flush: %v", err)
	}
	if got := logged(t, s, tenancy); got != 1000 {
		t.Errorf("%d rows, want 1000", got)
	}
}

// A database that was started again has broken all connections, also those that
// rest. One write after the other must not meet them all.
func TestNoWriteMeetsAConnectionThatBrokeWhileItRested(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	book := s.LogBook()
	for n, write := range []func() error{
		func() error {
			logRows(book, tenancy, 1, "/v1/me")
			return book.Flush()
		},
		func() error {
			m := storetest.Message(i, "15005550006", "x")
			return s.Accept(t.Context(), outbox.Acceptance{Message: &m}, func(int64) {})
		},
	} {
		fillPool(t, s, o)
		cutAll(t, o.DatabaseURL)
		if err := write(); err != nil {
			t.Errorf("write %d: %v", n, err)
		}
	}
}

// fillPool makes a store open as many connections as rest at most.
func fillPool(t *testing.T, s *store.Store, o store.Options) {
	t.Helper()
	db, err := sql.Open("postgres", o.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	blocker, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocker.Rollback() }()
	if _, err := blocker.Exec(`LOCK TABLE api_logs IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var readers errgroup.Group
	for range 10 {
		readers.Go(func() error {
			_, err := s.RequestLogs(t.Context(), nobodys(), messaging.LogFilter{}, messaging.Page{Limit: 1})
			return err
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for waiting := 0; waiting < 10; {
		const q = `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
		if err := db.QueryRowContext(ctx, q).Scan(&waiting); err != nil {
			t.Fatalf("%d of 10 wait: %v", waiting, err)
		}
	}
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := readers.Wait(); err != nil {
		t.Fatal(err)
	}
}

// cutAll ends every connection to a database but its own.
func cutAll(t *testing.T, address string) {
	t.Helper()
	db, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const q = `SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	var n int
	if err := db.QueryRowContext(t.Context(), q).Scan(&n); err != nil || n == 0 {
		t.Fatalf("%d connections ended, %v", n, err)
	}
}

// A statement may outlive the line that it came by. Whether it has happened can
// be told only when the server works on it no more.
func TestADoubtIsResolvedOnlyWhenTheServerIsDone(t *testing.T) {
	o := storetest.Options(t, "postgres")
	direct := o.DatabaseURL
	line := newDeafLine(t, direct)
	o.DatabaseURL = line.url
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	for range 2 { // the second one finds the heads known
		m := storetest.Message(i, "15005550006", "x")
		accept(t, s, &m)
	}
	var told atomic.Int64
	s.Tell(func(c store.Committed) { told.Add(int64(len(c))) })

	db, err := sql.Open("postgres", direct)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	blocker, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blocker.Exec(`SELECT 1 FROM event_heads FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	line.cutNext.Store(true)
	time.AfterFunc(time.Second, func() { _ = blocker.Rollback() })
	m := storetest.Message(i, "15005550006", "y")
	var handed atomic.Int64
	if err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) { handed.Add(1) }); err != nil {
		t.Errorf("accept: %v", err)
	}
	if line.cutNext.Load() {
		t.Fatal("the line was not cut")
	}
	stored, err := s.Messages(t.Context(), tenancy, messaging.MessageFilter{}, messaging.Page{Limit: 10})
	if err != nil || len(stored) != 3 || handed.Load() != 1 || told.Load() != 1 {
		t.Errorf("%d messages stored (%v), %d handed to the lane, %d events told; want 3, 1, 1", len(stored), err, handed.Load(), told.Load())
	}
}

// deafLine stands before PostgreSQL and, once, closes the client's side a moment
// after it has passed on what the client said. The server does not notice.
type deafLine struct {
	url     string
	cutNext atomic.Bool
}

func newDeafLine(t *testing.T, database string) *deafLine {
	t.Helper()
	d := new(deafLine)
	d.url = standBefore(t, database, d.relay)
	return d
}

// relay leaves the server's side open.
func (d *deafLine) relay(client, server net.Conn) {
	defer client.Close()
	relay(client, server, func(said []byte) error {
		if _, err := server.Write(said); err != nil {
			return err
		}
		if d.cutNext.CompareAndSwap(true, false) {
			return net.ErrClosed
		}
		return nil
	})
}
