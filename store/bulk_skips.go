package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"portaria/messaging"
)

// bulkPerson is a recipient of a bulk.
type bulkPerson struct {
	world     tenancyKey
	bulkID    string
	instances string // the bulk's, parted by spaces
	person    string
}

// skipQuestion is what must be known of a recipient.
type skipQuestion struct {
	bulkPerson

	window, span time.Duration // zero: none
	limit        int64         // how many within span are too many
	at           time.Time
}

func newSkipQuestion(p bulkPerson, o *messaging.BulkOptions, at time.Time) skipQuestion {
	q := skipQuestion{bulkPerson: p, window: o.DedupeWindow, at: at}
	if o.FrequencyCap != nil {
		q.span, q.limit = o.FrequencyCap.Per, int64(o.FrequencyCap.Max)
	}
	return q
}

// maxFrequency bounds how many messages to one person are counted for a cap; no
// cap may be larger.
const maxFrequency = "1000"

const (
	// heard finds messages of bulks to a person that may have arrived, or may yet.
	// The expressions keep PostgreSQL from a plan that goes through all messages of
	// the world: it is kept if it was made while there were none.
	heard = `SELECT 1 FROM bulk_recipients r JOIN messages m
			ON m.workspace_id = r.workspace_id || '' AND m.environment = r.environment || '' AND m.id = r.message_id
		WHERE r.workspace_id = v.column1 AND r.environment = v.column2 AND r.person = v.column3 AND r.message_id <> ''
			AND v.column4 LIKE '%' || r.instance_id || '%' AND m.status NOT IN ('failed', 'expired', 'canceled')`

	heardInWindow = heard + ` AND r.bulk_id <> v.column5 AND r.at > v.column6`
	heardInSpan   = heard + ` AND r.at > v.column7 LIMIT ` + maxFrequency
)

var (
	selectOptedOut = &rows{
		head:    `SELECT o.workspace_id, o.environment, o.person, o.instance_id FROM `,
		form:    asTable,
		columns: repeat(text, 3),
		tail: ` CROSS JOIN opt_outs o
			WHERE o.workspace_id = v.column1 AND o.environment = v.column2 AND o.person = v.column3`,
	}
	// selectHeard answers for each recipient whether another bulk has reached it
	// within the window, and how many have within the span of the cap.
	selectHeard = &rows{
		head: `SELECT v.column1, v.column2, v.column3, v.column5,
			CASE WHEN v.column6 > 0 AND EXISTS (` + heardInWindow + `) THEN 1 ELSE 0 END,
			CASE WHEN v.column7 > 0 THEN (SELECT COUNT(*) FROM (` + heardInSpan + `) h) ELSE 0 END
		FROM `,
		form:    asTable,
		columns: slices.Concat(repeat(text, 5), repeat(number, 2)),
	}
)

// heardKey is a person as a bulk meets it.
type heardKey struct {
	world          tenancyKey
	person, bulkID string
}

// skips is what is known of the recipients of a transaction, and grows with what
// it sends them.
type skips struct {
	questions map[heardKey]skipQuestion
	optedOut  map[heardKey][]string // by world and person: the instances, empty for the workspace
	recent    map[heardKey]bool     // by bulk too: another bulk within the window
	times     map[heardKey]int64    // by bulk too: messages within the span of the cap
	planned   map[heardKey][]plannedMessage
}

// plannedMessage is one that this transaction sends to a person.
type plannedMessage struct{ bulkID, instance string }

// lookUp runs a statement over many keys and scans each row that it finds.
type lookUp func(ctx context.Context, r *rows, args []any, scan func(scan func(...any) error) error) error

// loadSkips looks up all that is asked, in a few statements.
func loadSkips(ctx context.Context, look lookUp, asked []skipQuestion) (*skips, error) {
	k := &skips{
		questions: make(map[heardKey]skipQuestion, len(asked)), optedOut: make(map[heardKey][]string),
		recent: make(map[heardKey]bool), times: make(map[heardKey]int64), planned: make(map[heardKey][]plannedMessage),
	}
	var persons, histories []any
	for _, q := range asked {
		key := q.key()
		if _, known := k.questions[key]; known {
			continue
		}
		k.questions[key] = q
		persons = append(persons, q.world.workspace, q.world.environment, q.person)
		if q.window > 0 || q.span > 0 {
			histories = append(histories, q.world.workspace, q.world.environment, q.person, q.instances, q.bulkID,
				since(q.at, q.window), since(q.at, q.span))
		}
	}
	if err := look(ctx, selectOptedOut, persons, k.scanOptedOut); err != nil {
		return nil, fmt.Errorf("opt-outs: %w", err)
	}
	if err := look(ctx, selectHeard, histories, k.scanHeard); err != nil {
		return nil, fmt.Errorf("what recipients had: %w", err)
	}
	return k, nil
}

// since is the beginning of a span of time before at; 0 for no span.
func since(at time.Time, span time.Duration) int64 {
	if span == 0 {
		return 0
	}
	return max(micros(at.Add(-span)), 1)
}

func (p *bulkPerson) key() heardKey { return heardKey{p.world, p.person, p.bulkID} }

// anyBulk is the key of a person whatever the bulk.
func (k heardKey) anyBulk() heardKey { return heardKey{world: k.world, person: k.person} }

func (k *skips) scanOptedOut(scan func(...any) error) error {
	var key heardKey
	var instance string
	err := scan(&key.world.workspace, &key.world.environment, &key.person, &instance)
	k.optedOut[key] = append(k.optedOut[key], instance)
	return err
}

func (k *skips) scanHeard(scan func(...any) error) error {
	var key heardKey
	var recent bool
	var times int64
	err := scan(&key.world.workspace, &key.world.environment, &key.person, &key.bulkID, &recent, &times)
	k.recent[key], k.times[key] = recent, times
	return err
}

// reach notes that this transaction sends a person a message.
func (k *skips) reach(p bulkPerson, instance string) {
	key := p.key().anyBulk()
	k.planned[key] = append(k.planned[key], plannedMessage{p.bulkID, instance})
}

// reason says why a recipient is skipped; empty when it is not.
func (k *skips) reason(p bulkPerson) string {
	key := p.key()
	q := k.questions[key]
	if slices.ContainsFunc(k.optedOut[key.anyBulk()], func(id string) bool { return id == "" || p.has(id) }) {
		return messaging.SkippedOptedOut
	}
	times, recent := k.times[key], k.recent[key]
	for _, m := range k.planned[key.anyBulk()] {
		if p.has(m.instance) {
			times++
			recent = recent || m.bulkID != p.bulkID
		}
	}
	switch {
	case q.window > 0 && recent:
		return messaging.SkippedRecent
	case q.limit > 0 && times >= q.limit:
		return messaging.SkippedFrequency
	}
	return ""
}

// has reports whether an instance is one of the bulk's.
func (p *bulkPerson) has(instance string) bool {
	for id := range strings.FieldsSeq(p.instances) {
		if id == instance {
			return true
		}
	}
	return false
}

// BulkSkips tells for persons what would skip them now in a bulk with these
// instances and options: a reason by person. Who would not be skipped is not in
// the answer.
func (s *Store) BulkSkips(ctx context.Context, b messaging.Bulk, now time.Time, persons []string) (map[string]string, error) {
	asked := make([]skipQuestion, len(persons))
	for i, person := range persons {
		p := bulkPerson{tenancyKey{b.WorkspaceID, string(b.Environment)}, b.ID, strings.Join(b.InstanceIDs, " "), person}
		asked[i] = newSkipQuestion(p, &b.Options, now)
	}
	known, err := loadSkips(ctx, s.lookUp, asked)
	if err != nil {
		return nil, explain(err)
	}
	out := make(map[string]string)
	for i := range asked {
		if reason := known.reason(asked[i].bulkPerson); reason != "" {
			out[asked[i].person] = reason
		}
	}
	return out, nil
}

func scanAll(found *sql.Rows, scan func(scan func(...any) error) error) error {
	for found.Next() {
		if err := scan(found.Scan); err != nil {
			return errorsJoinClose(err, found)
		}
	}
	return errorsJoinClose(found.Err(), found)
}

// lookUp reads what the transaction has not written, or has written with exec.
func (b *batchConn) lookUp(ctx context.Context, r *rows, args []any, scan func(scan func(...any) error) error) error {
	return b.each(r, args, func(text string, _ int, args []any) error {
		found, err := b.look(ctx, text, args...)
		if err != nil {
			return err
		}
		return scanAll(found, scan)
	})
}

// lookUp reads outside of any transaction.
func (s *Store) lookUp(ctx context.Context, r *rows, args []any, scan func(scan func(...any) error) error) error {
	return s.engine.each(r, args, func(p piece) error {
		found, err := s.r.QueryContext(ctx, s.engine.sql(s.engine.text(r, p.rows, p.alike)), p.args...)
		if err != nil {
			return err
		}
		return scanAll(found, scan)
	})
}
