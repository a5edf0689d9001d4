package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"portaria/messaging"
	"portaria/migrations"
)

// engine is one of the two databases. Everything that differs between them and
// is not a marked line of SQL stands in this file.
type engine struct {
	name  string // as marks in SQL say it
	goose goose.Dialect
	begin string // how the committer opens a transaction
	// gather is how long a busy committer waits for a fuller batch.
	gather time.Duration
	// roundTrips says that every statement costs a journey to another process,
	// so that one which does two things is worth its length.
	roundTrips bool
	// arrays says that rows are best given as one array for each column.
	arrays bool
	// session is said once on the committer's connection, and lazy on one whose
	// writes need not wait for the disk.
	session, lazy []string
}

var (
	sqliteEngine = engine{
		name: "sqlite", goose: goose.DialectSQLite3, begin: "BEGIN IMMEDIATE",
		gather: time.Millisecond,
	}
	postgresEngine = engine{
		name: "postgres", goose: goose.DialectPostgres, begin: "BEGIN", arrays: true, roundTrips: true,
		gather: 2 * time.Millisecond,
		// Its statements name rows by key. A plan made while a table was empty
		// would be kept, and read the whole table ever after.
		session: []string{"SET enable_seqscan = off", "SET enable_hashjoin = off", "SET enable_mergejoin = off"},
		lazy:    []string{"SET synchronous_commit = off"},
	}
)

// sqliteFile is the database's name in the data directory.
const sqliteFile = "portaria.db"

// connectTimeout bounds how long opening waits for a database to answer.
const connectTimeout = 10 * time.Second

// sql leaves out of text what is marked for the other engine. On SQLite,
// parameters that come in order lose their numbers: to it "$1" is a name, and
// binding n named parameters takes a search through n names for each.
func (e engine) sql(text string) string {
	text = migrations.Select(e.name, text)
	if e.name == sqliteEngine.name && paramsInOrder(text) {
		return param.ReplaceAllLiteralString(text, "?")
	}
	return text
}

var param = regexp.MustCompile(`\$[0-9]+`)

func paramsInOrder(text string) bool {
	for i, p := range param.FindAllString(text, -1) {
		if p != "$"+strconv.Itoa(i+1) {
			return false
		}
	}
	return true
}

// pragma is a setting of SQLite, and how it reads when it holds.
type pragma struct{ name, value, reads string }

// pragmas are what a promise of durability rests on. They are read back after
// opening, because the driver ignores misspelt ones in silence.
var pragmas = []pragma{
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"busy_timeout", "10000", "10000"},
	{"foreign_keys", "ON", "1"},
	{"cache_size", "-65536", "-65536"},
	{"wal_autocheckpoint", "0", "0"}, // see runCheckpoints
	{"temp_store", "MEMORY", "2"},
}

// openSQLite opens the file with a pool of writers (BEGIN IMMEDIATE, so that a
// transaction never fails half-way for a lock) and a pool of readers.
func openSQLite(ctx context.Context, dir string) (w, r *sqlx.DB, err error) {
	path := filepath.Join(dir, sqliteFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, ErrDataDir.Because(err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	query := url.Values{"_txlock": {"immediate"}}
	for _, p := range pragmas {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
	w, err = connect(ctx, "sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	w.SetMaxOpenConns(3) // the committer's, the checkpoints' and one for everything else
	if err := checkPragmas(ctx, w, pragmas); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	r, err = connect(ctx, "sqlite", dsn+"&_pragma=query_only(ON)")
	if err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	r.SetMaxOpenConns(4)
	return w, r, nil
}

// openPostgres connects through a dialer that notices a peer which has gone
// without a word: otherwise a write would wait for it for many minutes.
func openPostgres(ctx context.Context, dsn string) (w, r *sqlx.DB, err error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, nil, ErrDatabaseURL.Because(withoutPassword(err, dsn))
	}
	config.BinaryParameters = true // what is []byte, as the arrays of rows, goes as it is
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, nil, ErrDatabaseURL.Because(withoutPassword(err, dsn))
	}
	connector.Dialer(watchfulDialer{})
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	if err := ping(ctx, db, dsn); err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(10)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

func connect(ctx context.Context, driver, dsn string) (*sqlx.DB, error) {
	db, err := sqlx.Open(driver, dsn)
	if err != nil {
		return nil, ErrDatabaseUnreachable.Because(withoutPassword(err, dsn))
	}
	return db, ping(ctx, db, dsn)
}

// ping waits for the first answer, and closes the pool when there is none.
func ping(ctx context.Context, db *sqlx.DB, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return errors.Join(explain(withoutPassword(err, dsn)), db.Close())
	}
	return nil
}

// withoutPassword keeps a password in the address out of an error's text.
func withoutPassword(err error, dsn string) error {
	u, perr := url.Parse(dsn)
	if perr != nil {
		return errors.New("the database address cannot be parsed")
	}
	if p, ok := u.User.Password(); ok && p != "" && strings.Contains(err.Error(), p) {
		return errors.New(strings.ReplaceAll(err.Error(), p, "xxxxx"))
	}
	return err
}

func checkPragmas(ctx context.Context, db *sqlx.DB, wanted []pragma) error {
	for _, p := range wanted {
		var got string
		if err := db.GetContext(ctx, &got, "PRAGMA "+p.name); err != nil {
			return explain(err)
		}
		if got != p.reads {
			return fmt.Errorf("sqlite: PRAGMA %s reads %q after it was set to %q", p.name, got, p.value)
		}
	}
	return nil
}

// explain turns what an engine says about itself into a fault with a sentence
// that tells what to do. Anything else passes unchanged.
func explain(err error) error {
	if isUnrecordable(err) {
		return messaging.ErrUnrecordable.Because(err)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_CORRUPT:
			return ErrDatabaseCorrupt.Because(err)
		case sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_PERM:
			return ErrDataDir.Because(err)
		case sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR:
			return ErrDiskFull.Because(err)
		case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED:
			return ErrDatabaseBusy.Because(err)
		}
		return err
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code.Class() {
		case "40":
			return ErrDatabaseBusy.Because(err) // a deadlock or a serialization failure: the same call may succeed
		case "53":
			return ErrDiskFull.Because(err)
		case "28", "3D", "57", "08":
			return ErrDatabaseUnreachable.Because(err)
		}
		return err
	}
	if isConnectionError(err) {
		return ErrDatabaseUnreachable.Because(err)
	}
	return err
}

// isRefusal reports whether a database answered that it did not do what it was
// asked. Without such an answer it may have done it.
func isRefusal(err error) bool {
	if errors.Is(err, errMoved) {
		return true
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code.Class() != "57" && e.Code.Class() != "08"
	}
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}

// isConnectionFault reports whether an error says that a connection is of no
// more use.
func isConnectionFault(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code.Class() == "57" || e.Code.Class() == "08"
	}
	return isConnectionError(err)
}

// backend is the process of a PostgreSQL server that works for one connection.
// The zero value is none.
type backend struct {
	PID   int64  `db:"pid"`
	Since string `db:"since"`
}

// backend finds out who works for a connection.
func (e engine) backend(ctx context.Context, conn *sql.Conn) (b backend, err error) {
	if !e.roundTrips {
		return b, nil
	}
	const q = `SELECT pid, CAST(backend_start AS TEXT) FROM pg_stat_activity WHERE pid = pg_backend_pid()`
	err = conn.QueryRowContext(ctx, q).Scan(&b.PID, &b.Since)
	return b, err
}

// end makes sure that a backend works no more. Nothing else can tell whether
// what its connection asked for last has happened or will.
func (e engine) end(ctx context.Context, db *sqlx.DB, b backend) error {
	if b.PID == 0 {
		return nil
	}
	const q = `SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = $1 AND CAST(backend_start AS TEXT) = $2`
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		var working int
		if err := db.GetContext(ctx, &working, q, b.PID, b.Since); err != nil || working == 0 {
			return explain(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return explain(ctx.Err())
		}
	}
}

// isUnique reports whether err is a violated unique constraint.
func isUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "23505"
	}
	return false
}

// isDivision reports whether PostgreSQL was made to divide by zero.
func isDivision(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && e.Code == "22012"
}

func isConnectionError(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	_, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok
}
