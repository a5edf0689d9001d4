package bulk_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// memory is a store of bulks and their messages without a database.
type memory struct {
	mu       sync.Mutex
	staged   map[string][]bulk.Chunk
	bulks    map[string]*memoryBulk
	messages map[string]*memoryMessage
	optOuts  map[string]bool // by person
	claims   []*messaging.Claim
	position int64
	turns    []bulk.Turn // that did something

	fail func(op string) error   // asked before each call; nil: nothing fails
	tell func([]messaging.Event) // hears of events after their commit
	take func(op string)         // called without the lock before each call; nil: nobody
}

type memoryBulk struct {
	messaging.Bulk
	chunks []bulk.Chunk
	rows   map[int64]*memoryRow
}

// memoryRow is what became of a row at its turn.
type memoryRow struct {
	message string
	reason  string
	again   bool
	at      time.Time
}

type memoryMessage struct {
	messaging.Message
	row int64
}

var (
	_ bulk.Store         = (*memory)(nil)
	_ messaging.Reporter = (*memory)(nil)
)

func newMemory() *memory {
	return &memory{
		staged: make(map[string][]bulk.Chunk), bulks: make(map[string]*memoryBulk), messages: make(map[string]*memoryMessage),
		optOuts: make(map[string]bool), tell: func([]messaging.Event) {},
	}
}

func (m *memory) begin(op string) error {
	m.mu.Lock()
	take, fail := m.take, m.fail
	m.mu.Unlock()
	if take != nil {
		take(op)
	}
	if fail != nil {
		if err := fail(op); err != nil {
			return err
		}
	}
	m.mu.Lock()
	return nil
}

// setFail has calls fail; nil: no more.
func (m *memory) setFail(fail func(op string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// setTell has events told to somebody else.
func (m *memory) setTell(tell func([]messaging.Event)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell = tell
}

// setTake has somebody told before each call; nil: nobody.
func (m *memory) setTake(take func(op string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.take = take
}

// find returns the last message to a number.
func (m *memory) find(phone string) (found messaging.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range m.messages {
		if msg.Peer.Phone() == phone && msg.ID > found.ID {
			found = msg.Message
		}
	}
	return found
}

// commit ends a call that has changed something.
func (m *memory) commit(events []messaging.Event) {
	tell := m.tell
	m.mu.Unlock()
	if len(events) > 0 {
		tell(events)
	}
}

func (m *memory) StageBulk(_ context.Context, id string, c bulk.Chunk) error {
	if err := m.begin("StageBulk"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	c.Data = slices.Clone(c.Data)
	m.staged[id] = append(m.staged[id], c)
	return nil
}

func (m *memory) CreateBulk(_ context.Context, b messaging.Bulk, claim *messaging.Claim, created func()) error {
	if err := m.begin("CreateBulk"); err != nil {
		return err
	}
	chunks := m.staged[b.ID]
	delete(m.staged, b.ID)
	m.bulks[b.ID] = &memoryBulk{Bulk: b, chunks: chunks, rows: make(map[int64]*memoryRow)}
	if claim != nil {
		m.claims = append(m.claims, claim)
	}
	var events []messaging.Event
	if b.State == messaging.BulkRunning {
		events = append(events, m.bulks[b.ID].event(messaging.EventBulkStarted, b.CreatedAt))
	}
	m.commit(events)
	created()
	return nil
}

func (m *memory) DropBulk(_ context.Context, id string) error {
	if err := m.begin("DropBulk"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.staged, id)
	return nil
}

func (m *memory) SweepBulks(context.Context) error {
	if err := m.begin("SweepBulks"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	clear(m.staged)
	return nil
}

func (m *memory) BulkSkips(_ context.Context, _ messaging.Bulk, _ time.Time, persons []string) (map[string]string, error) {
	if err := m.begin("BulkSkips"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	out := make(map[string]string)
	for _, p := range persons {
		if m.optOuts[p] {
			out[p] = messaging.SkippedOptedOut
		}
	}
	return out, nil
}

func (m *memory) OpenBulks(context.Context) (out []messaging.Bulk, err error) {
	if err := m.begin("OpenBulks"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, b := range m.bulks {
		if !b.State.Ended() || b.State == messaging.BulkCanceled && b.Counts.Queued > 0 {
			out = append(out, b.Bulk)
		}
	}
	return out, nil
}

func (m *memory) BulkWaiting(_ context.Context, b messaging.Bulk) (out []bulk.Waiting, err error) {
	if err := m.begin("BulkWaiting"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, row := range m.bulks[b.ID].rows {
		if msg, ok := m.messages[row.message]; ok && msg.Status.Waiting() {
			out = append(out, bulk.Waiting{
				MessageID: msg.ID, InstanceID: msg.InstanceID, Person: messaging.Person(msg.Peer.WAID), Held: msg.Status == messaging.StatusHeld,
			})
		}
	}
	return out, nil
}

func (m *memory) BulkSpent(_ context.Context, b messaging.Bulk, instance string, since time.Time, limit int) (out []time.Time, err error) {
	if err := m.begin("BulkSpent"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, row := range m.bulks[b.ID].rows {
		if msg, ok := m.messages[row.message]; ok && msg.InstanceID == instance && !row.at.Before(since) {
			out = append(out, row.at)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out[max(0, len(out)-limit):], nil
}

func (m *memory) Chunks(_ context.Context, id string, from int64, limit int) (out []bulk.Chunk, err error) {
	if err := m.begin("Chunks"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, c := range m.bulks[id].chunks {
		if c.First+int64(c.Rows) > from && len(out) < limit {
			out = append(out, c)
		}
	}
	return out, nil
}

func (m *memory) Again(_ context.Context, id string, limit int) (out []int64, err error) {
	if err := m.begin("Again"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for n, row := range m.bulks[id].rows {
		if row.again {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), limit)], nil
}

func (m *memory) Turn(_ context.Context, t bulk.Turn, turned func(bulk.Turned)) error {
	if err := m.begin("Turn"); err != nil {
		return err
	}
	b := m.bulks[t.Bulk.ID]
	done := bulk.Turned{Positions: make([]int64, len(t.Rows)), Stopped: b.State != messaging.BulkRunning}
	var events []messaging.Event
	if !done.Stopped {
		m.turns = append(m.turns, t)
		for i := range t.Rows {
			if e := m.turnRow(b, &t, i, &done); e != nil {
				events = append(events, *e)
			}
		}
		b.Next = max(b.Next, t.Next)
		events = b.end(events, t.At)
	}
	m.commit(events)
	turned(done)
	return nil
}

// turnRow gives one row its turn. m.mu is held.
func (m *memory) turnRow(b *memoryBulk, t *bulk.Turn, i int, done *bulk.Turned) *messaging.Event {
	c := &t.Rows[i]
	present := b.rows[c.Row]
	if c.Skipped || t.Next > 0 && c.Row < b.Next || t.Next == 0 && (present == nil || !present.again) {
		return nil
	}
	b.Pending--
	if m.optOuts[c.Person] {
		b.rows[c.Row] = &memoryRow{reason: messaging.SkippedOptedOut, at: t.At}
		b.Counts.Queued--
		b.Counts.Skipped++
		return nil
	}
	m.position++
	done.Positions[i] = m.position
	b.rows[c.Row] = &memoryRow{message: c.Message.ID, at: t.At}
	m.messages[c.Message.ID] = &memoryMessage{*c.Message, c.Row}
	return m.messages[c.Message.ID].event(t.At)
}

func (m *memoryMessage) event(at time.Time) *messaging.Event {
	return &messaging.Event{
		Type: messaging.EventType("message." + string(m.Status)), WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID,
		MessageID: m.ID, State: m.State, Timestamp: at,
	}
}

func (b *memoryBulk) event(typ messaging.EventType, at time.Time) messaging.Event {
	found := b.Bulk
	return messaging.Event{Type: typ, WorkspaceID: b.WorkspaceID, Environment: b.Environment, Bulk: &found, Timestamp: at}
}

// end completes a bulk of which nothing is queued any more.
func (b *memoryBulk) end(events []messaging.Event, at time.Time) []messaging.Event {
	if b.State != messaging.BulkRunning || b.Counts.Queued > 0 {
		return events
	}
	b.State, b.EndedAt = messaging.BulkCompleted, at
	return append(events, b.event(messaging.EventBulkCompleted, at))
}

// Report implements messaging.Reporter.
func (m *memory) Report(_ context.Context, records ...messaging.Record) error {
	if err := m.begin("Report"); err != nil {
		return err
	}
	var events []messaging.Event
	for _, r := range records {
		switch c := r.(type) {
		case messaging.StatusChange:
			events = m.change(c, events)
		case messaging.BulkChange:
			events = m.bulks[c.BulkID].change(c, events)
		default:
			m.mu.Unlock()
			return errors.New("no such record")
		}
	}
	m.commit(events)
	return nil
}

// change moves a message, and the counts of its bulk. m.mu is held.
func (m *memory) change(c messaging.StatusChange, events []messaging.Event) []messaging.Event {
	msg, ok := m.messages[c.MessageID]
	if !ok {
		return events
	}
	b := m.bulks[msg.BulkID]
	*b.Counts.Of(msg.Status)--
	for range msg.Apply(c) {
		events = append(events, *msg.event(c.At))
	}
	*b.Counts.Of(msg.Status)++
	return b.end(events, c.At)
}

func (b *memoryBulk) change(c messaging.BulkChange, events []messaging.Event) []messaging.Event {
	typ := messaging.EventBulkPaused
	switch c.State { //nolint:exhaustive // nobody records the others
	case messaging.BulkRunning:
		typ = messaging.EventBulkResumed
		if b.State == messaging.BulkPaused && b.StartedAt.IsZero() && b.Options.SendAt.After(c.At) {
			c.State = messaging.BulkScheduled
		}
	case messaging.BulkCanceled:
		typ = messaging.EventBulkCanceled
		b.Counts.Queued -= b.Pending
		b.Counts.Canceled += b.Pending
		b.Pending = 0
	}
	b.State = c.State
	return b.end(append(events, b.event(typ, c.At)), c.At)
}

func (m *memory) Bulk(_ context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	if err := m.begin("Bulk"); err != nil {
		return messaging.Bulk{}, err
	}
	defer m.mu.Unlock()
	b, ok := m.bulks[id]
	if !ok || b.WorkspaceID != t.Workspace() || b.Environment != t.Environment() {
		return messaging.Bulk{}, fault.ErrNotFound
	}
	return b.Bulk, nil
}

func (m *memory) Bulks(_ context.Context, t messaging.Tenancy, _ messaging.Page) (out []messaging.Bulk, err error) {
	if err := m.begin("Bulks"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, b := range m.bulks {
		if b.WorkspaceID == t.Workspace() {
			out = append(out, b.Bulk)
		}
	}
	return out, nil
}

func (m *memory) BulkRecipients(_ context.Context, b messaging.Bulk, status string, page messaging.Page) (out []messaging.BulkRecipient, err error) {
	if err := m.begin("BulkRecipients"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	after, _ := strconv.ParseInt(page.Cursor, 10, 64)
	for n := after + 1; n <= b.Counts.Total && len(out) < page.Limit; n++ {
		r := messaging.BulkRecipient{Row: n, Status: string(messaging.StatusQueued)}
		if row := m.bulks[b.ID].rows[n]; row != nil {
			r.MessageID, r.Status = row.message, "skipped"
			if msg, ok := m.messages[row.message]; ok {
				r.Status = string(msg.Status)
			}
		}
		if status == "" || status == r.Status {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) RetryFailed(_ context.Context, _ messaging.Tenancy, id string, now time.Time) (n int64, err error) {
	if err := m.begin("RetryFailed"); err != nil {
		return 0, err
	}
	b := m.bulks[id]
	for _, row := range b.rows {
		msg, ok := m.messages[row.message]
		if !ok || row.again || msg.Status != messaging.StatusFailed && msg.Status != messaging.StatusExpired {
			continue
		}
		row.again = true
		n++
	}
	b.Counts.Failed -= n
	b.Counts.Queued += n
	b.Pending += n
	var events []messaging.Event
	if n > 0 && b.State == messaging.BulkCompleted {
		b.State = messaging.BulkRunning
		events = append(events, b.event(messaging.EventBulkResumed, now))
	}
	m.commit(events)
	return n, nil
}
