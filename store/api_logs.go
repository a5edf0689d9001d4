package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"portaria/internal/fault"
	"portaria/messaging"
)

// LogBook takes the rows of api_logs off the request's path. Rows wait in
// memory for at most a quarter of a second and are written a few at a time,
// beside other writes or on a connection of their own, so that they never hold a
// commit up. They are not promised: a crash loses those that wait, those whose
// commit was not answered may be there more than once, and what comes on top of
// maxLogChunks is dropped and counted. So is what callers without a key cause
// beyond a trickle: anybody may knock, and nobody without a key may fill the disk.
type LogBook struct {
	store *Store

	mu        sync.Mutex
	chunks    [][]messaging.RequestLog // of up to logChunk rows each
	dropped   int64
	strangers strangers
}

// strangers says how many rows may be written for callers without a key.
type strangers struct {
	limiter  *rate.Limiter
	leftOut  int64
	reported time.Time
}

const (
	strangersPerSecond = 20
	strangersBurst     = 100
	// strangersReport is how often the log tells how many were left out: it
	// would be a way to fill the disk too.
	strangersReport = time.Minute
)

// admit reports whether one more row may be written at now, and counts it when
// not.
func (s *strangers) admit(now time.Time) bool {
	if s.limiter.AllowN(now, 1) {
		return true
	}
	s.leftOut++
	return false
}

// report returns how many rows were left out since the last report, when it is
// time to tell, and 0 otherwise.
func (s *strangers) report(now time.Time) int64 {
	if s.leftOut == 0 || now.Sub(s.reported) < strangersReport {
		return 0
	}
	n := s.leftOut
	s.leftOut, s.reported = 0, now
	return n
}

const (
	logInterval  = 250 * time.Millisecond
	logChunk     = 256
	maxLogChunks = 256
)

// LogBook returns a book that writes to this store while its Run lasts.
func (s *Store) LogBook() *LogBook {
	return &LogBook{store: s, strangers: strangers{limiter: rate.NewLimiter(strangersPerSecond, strangersBurst)}}
}

// Log takes a row. It never blocks.
func (l *LogBook) Log(row messaging.RequestLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if row.WorkspaceID == "" && !l.strangers.admit(time.Now()) {
		return
	}
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last]) == logChunk {
		if len(l.chunks) == maxLogChunks {
			l.dropped++
			return
		}
		l.chunks = append(l.chunks, make([]messaging.RequestLog, 0, logChunk))
		last++
	}
	l.chunks[last] = append(l.chunks[last], row)
}

// Run writes rows until ctx ends, then what is left.
func (l *LogBook) Run(ctx context.Context) error {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := l.Flush(); err != nil {
				l.store.log.Error("request logs not written", "error", err)
			}
		case <-ctx.Done():
			return l.Flush()
		}
	}
}

// Flush writes all rows that wait. What the database does not take for a reason
// that may pass waits on; a chunk that it would never take is dropped.
func (l *LogBook) Flush() (err error) {
	l.mu.Lock()
	chunks, dropped, leftOut := l.chunks, l.dropped, l.strangers.report(time.Now())
	l.chunks, l.dropped = nil, 0
	l.mu.Unlock()
	if leftOut > 0 {
		l.store.log.Warn("requests without a valid key not logged: too many", "rows", leftOut)
	}
	if dropped > 0 {
		l.store.log.Warn("request logs dropped: the database does not take them or does not keep up", "rows", dropped)
	}
	for i, chunk := range chunks {
		failed := l.store.writeLogs(context.Background(), chunk)
		if failed == nil {
			continue
		}
		err = fmt.Errorf("request logs: %w", failed)
		if !errors.Is(failed, messaging.ErrUnrecordable) {
			l.keep(chunks[i:])
			break
		}
		l.drop(chunk)
	}
	return err
}

// keep takes chunks back, before those that have come since, as many as there is
// room for.
func (l *LogBook) keep(chunks [][]messaging.RequestLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chunks = append(chunks, l.chunks...)
	for len(l.chunks) > maxLogChunks {
		last := len(l.chunks) - 1
		l.dropped += int64(len(l.chunks[last]))
		l.chunks = l.chunks[:last]
	}
}

func (l *LogBook) drop(chunk []messaging.RequestLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += int64(len(chunk))
}

// writeLogs writes a chunk where it holds nobody up: SQLite has one writer at a
// time, PostgreSQL takes the rows beside the committer's.
func (s *Store) writeLogs(ctx context.Context, chunk []messaging.RequestLog) error {
	if !s.engine.roundTrips {
		return s.committer.submit(ctx, &job{station: stationLog, payload: chunk, weight: 1 + len(chunk)/2})
	}
	return s.aside.write(ctx, func(b *batchConn) error { return insertChunk(ctx, b, chunk) })
}

// logArgs appends a row for insertLogs.
func logArgs(args []any, l *messaging.RequestLog) []any {
	return append(args, &l.WorkspaceID, (*string)(&l.Environment), micros(l.At), &l.RequestID, &l.KeyID, &l.Lineage, &l.Method,
		&l.Route, int64(l.Status), &l.ErrorCode, l.Duration.Microseconds(), &l.InstanceID, &l.IP, &l.UserAgent)
}

var insertLogs = &rows{
	head: insertInto + `api_logs (workspace_id, environment, at, request_id, key_id, lineage, method, route, status, error_code,
		duration_us, instance_id, ip, user_agent) `,
	columns: []kind{
		text.of(byWorld), text.of(byWorld), number, text, text.of(byCaller), text.of(byCaller), text.of(byCaller), text.of(byCaller),
		number.of(byCaller), text.of(byCaller), number, text.of(byInstance), text.of(byCaller), text.of(byCaller),
	},
}

func applyLogs(ctx context.Context, b *batchConn, jobs []*job) error {
	for _, j := range jobs {
		if err := insertChunk(ctx, b, j.payload.([]messaging.RequestLog)); err != nil {
			return err
		}
	}
	return nil
}

func insertChunk(ctx context.Context, b *batchConn, chunk []messaging.RequestLog) error {
	args := make([]any, 0, len(chunk)*len(insertLogs.columns))
	for i := range chunk {
		args = logArgs(args, &chunk[i])
	}
	if err := b.write(ctx, insertLogs, args); err != nil {
		return fmt.Errorf("insert api_logs: %w", err)
	}
	return nil
}

// logRow is a row of api_logs.
type logRow struct {
	ID          int64  `db:"id"`
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	At          int64  `db:"at"`
	RequestID   string `db:"request_id"`
	KeyID       string `db:"key_id"`
	Lineage     string `db:"lineage"`
	Method      string `db:"method"`
	Route       string `db:"route"`
	Status      int    `db:"status"`
	ErrorCode   string `db:"error_code"`
	DurationUS  int64  `db:"duration_us"`
	InstanceID  string `db:"instance_id"`
	IP          string `db:"ip"`
	UserAgent   string `db:"user_agent"`
}

const selectLogs = `SELECT id, workspace_id, environment, at, request_id, key_id, lineage, method, route, status, error_code,
	duration_us, instance_id, ip, user_agent FROM api_logs WHERE workspace_id = $1 AND environment = $2`

// RequestLogs lists api_logs, newest first, or oldest first behind
// filter.AfterID. Fault: fault.ErrBadRequest for a cursor that is none.
func (s *Store) RequestLogs(ctx context.Context, t messaging.Tenancy, f messaging.LogFilter, page messaging.Page) ([]messaging.RequestLog, error) {
	q := newQuery(selectLogs, t)
	if f.KeyID != "" {
		q.and("key_id = ", f.KeyID)
	}
	if f.Lineage != "" {
		q.and("lineage = ", f.Lineage)
	}
	if f.InstanceID != "" {
		q.and("instance_id = ", f.InstanceID)
	}
	if f.Status != 0 {
		q.and("status = ", int64(f.Status))
	}
	if !f.Since.IsZero() {
		q.and("at >= ", micros(f.Since))
	}
	order := "DESC"
	if f.AfterID != 0 {
		order = "ASC"
		q.and("id > ", f.AfterID)
	}
	if page.Cursor != "" {
		id, err := strconv.ParseInt(page.Cursor, 10, 64)
		if err != nil {
			return nil, fault.ErrBadRequest.Saying("This cursor cannot be used.")
		}
		q.and("id < ", id)
	}
	q.tail(" ORDER BY id "+order+" LIMIT ", page.Limit+1)

	var found []logRow
	if err := s.r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("api_logs: %w", explain(err))
	}
	out := make([]messaging.RequestLog, len(found))
	for i, r := range found {
		out[i] = messaging.RequestLog{
			ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), At: fromMicros(r.At),
			RequestID: r.RequestID, KeyID: r.KeyID, Lineage: r.Lineage, Method: r.Method, Route: r.Route, Status: r.Status,
			ErrorCode: r.ErrorCode, Duration: time.Duration(r.DurationUS) * time.Microsecond,
			InstanceID: r.InstanceID, IP: r.IP, UserAgent: r.UserAgent,
		}
	}
	return out, nil
}
