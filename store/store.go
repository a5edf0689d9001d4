package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"portaria/messaging"
	"portaria/migrations"
)

// Options say where the database is. The zero value of everything but DataDir
// works.
type Options struct {
	// DatabaseURL is postgres://… or empty for SQLite in DataDir.
	DatabaseURL string
	// DataDir holds the SQLite file; it must exist.
	DataDir string
	// Exclusive refuses to open a database that another exclusive store has
	// open. The server sets it; admin commands do not.
	Exclusive bool
	// EventRetention is how long events are kept, by their own time; 0: 30 days.
	// Those of test worlds are kept 7 days at most, by the machine's time.
	EventRetention time.Duration
	Logger         *slog.Logger
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	engine engine
	w, r   *sqlx.DB
	lock   serverLock
	log    *slog.Logger

	// writing orders the writers of this process fairly: SQLite's own lock is
	// polled, and a busy committer would starve everyone else.
	writing    sync.Mutex
	committer  *committer
	aside      *aside
	background sync.WaitGroup
	quit       chan struct{} // closed when background work must end
	commits    atomic.Int64
	listener   func(Committed)
	observer   func(messaging.Instance)
	queued     func(webhookIDs []string)
	keyword    func(*messaging.Message) (string, bool)
	testNow    func(workspace string) (time.Time, bool)
	mediaGone  func(ids []string)
	heads      map[tenancyKey]int64 // the last sequences, as far as known; guarded by writing
	states     knownStates          // of messages; guarded by writing
	routes     routes
	deliveries messaging.IDSource
	claims     nodeClaims
	eventLife  time.Duration
	position   int64 // the time of the last place given in the outbox; the committer's own
	node       int64 // the low bits of every place that this process gives
}

// Open connects to the database and checks that it can be trusted; it does not
// change the schema. Faults: ErrDatabaseURL, ErrDataDir, ErrDatabaseUnreachable,
// ErrDatabaseCorrupt, ErrDatabaseLocked.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		engine: sqliteEngine, log: o.Logger, heads: make(map[tenancyKey]int64), node: rand.Int64N(1 << nodeBits),
		routes: routes{worlds: make(map[tenancyKey][]messaging.Webhook)}, eventLife: cmp.Or(o.EventRetention, eventLife),
	}
	if err := s.open(ctx, o); err != nil {
		s.lock.release()
		return nil, err
	}
	s.committer, s.aside = newCommitter(s), newAside(s)
	s.quit = make(chan struct{})
	if s.engine.name == sqliteEngine.name {
		s.background.Go(func() { s.runCheckpoints(s.quit) })
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) (err error) {
	if o.DatabaseURL != "" {
		if !strings.HasPrefix(o.DatabaseURL, "postgres://") && !strings.HasPrefix(o.DatabaseURL, "postgresql://") {
			return ErrDatabaseURL
		}
		s.engine = postgresEngine
		if s.w, s.r, err = openPostgres(ctx, o.DatabaseURL); err != nil || !o.Exclusive {
			return err
		}
		if s.lock, err = s.lockDatabase(ctx); err != nil {
			return errors.Join(err, s.w.Close())
		}
		return nil
	}
	if o.Exclusive {
		if s.lock, err = lockDataDir(o.DataDir); err != nil {
			return err
		}
	}
	s.w, s.r, err = openSQLite(ctx, o.DataDir)
	return err
}

// Close waits for writes in hand and closes the database.
func (s *Store) Close() error {
	s.committer.stop()
	s.aside.close()
	close(s.quit)
	s.background.Wait()
	s.lock.release()
	err := s.w.Close()
	if s.r != s.w {
		err = errors.Join(err, s.r.Close())
	}
	return err
}

// Engine returns "sqlite" or "postgres".
func (s *Store) Engine() string { return s.engine.name }

// Ping reports whether the database answers. Fault: ErrDatabaseUnreachable.
func (s *Store) Ping(ctx context.Context) error {
	return explain(s.r.PingContext(ctx))
}

// Migrate brings an empty or older database to this version's schema. It must
// run before the first write.
// Faults: ErrDatabaseNewer.
func (s *Store) Migrate(ctx context.Context) error {
	p, err := s.migrator()
	if err != nil {
		return err
	}
	if err := s.notNewer(ctx, p); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", explain(err))
	}
	return s.seedPosition(ctx)
}

// Schema tells the database's version and the newest one that this program
// knows. A database without tables has version 0.
func (s *Store) Schema(ctx context.Context) (current, newest int64, err error) {
	p, err := s.migrator()
	if err != nil {
		return 0, 0, err
	}
	current, newest, err = p.GetVersions(ctx)
	return current, newest, explain(err)
}

func (s *Store) migrator() (*goose.Provider, error) {
	p, err := goose.NewProvider(s.engine.goose, s.w.DB, migrations.For(s.engine.name))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

func (s *Store) notNewer(ctx context.Context, p *goose.Provider) error {
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("schema version: %w", explain(err))
	}
	if current > newest {
		return ErrDatabaseNewer.With("database_version", current).With("program_version", newest)
	}
	return nil
}

// inWriteTx runs f in a transaction of its own, which is committed when f
// returns nil. One that records events is for inEventTx.
func (s *Store) inWriteTx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.transact(ctx, f)
}

// inEventTx is inWriteTx for a transaction that records events or queues
// deliveries by log. They are told after its commit, before anybody else's.
func (s *Store) inEventTx(ctx context.Context, f func(tx *sqlx.Tx, log *eventLog) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	clear(s.heads)
	log := new(eventLog)
	err := s.transact(ctx, func(tx *sqlx.Tx) error { return f(tx, log) })
	if err != nil {
		s.routes.forget() // f may have read what is not so any more
		if errors.Is(err, errInDoubt) {
			s.tellQueued(log) // to look in vain does no harm
		}
		return err
	}
	s.tell(log)
	return nil
}

// transact runs f in a transaction. The error is errInDoubt when its commit was
// not answered. s.writing is held.
func (s *Store) transact(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	tx, err := s.w.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", explain(err))
	}
	if err := f(tx); err != nil {
		return errors.Join(explain(err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		if isRefusal(err) {
			return fmt.Errorf("commit: %w", explain(err))
		}
		return fmt.Errorf("%w: %w", errInDoubt, explain(err))
	}
	s.commits.Add(1)
	return nil
}

// bump tells other processes that something of a topic has changed.
func bump(ctx context.Context, tx *sqlx.Tx, topic string) error {
	const q = `UPDATE epochs SET value = value + 1 WHERE topic = $1`
	if _, err := tx.ExecContext(ctx, q, topic); err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	return nil
}

// epoch returns a topic's number, which has grown when anything of it changed.
func (s *Store) epoch(ctx context.Context, topic string) (n int64, err error) {
	const q = `SELECT value FROM epochs WHERE topic = $1`
	err = s.r.GetContext(ctx, &n, q, topic)
	return n, explain(err)
}

// micros is how a time is stored: microseconds since 1970; 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros reads what micros wrote.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
