package bulk

import (
	"context"
	"time"

	"portaria/messaging"
)

// Store is what bulks need of a database. *store.Store implements it.
type Store interface {
	Shelf
	Turns
	Register
}

// Shelf stores what is accepted.
type Shelf interface {
	// StageBulk writes one chunk of a bulk that is being accepted, in a
	// transaction of its own. Nobody sees it before CreateBulk.
	StageBulk(ctx context.Context, bulkID string, c Chunk) error
	// CreateBulk makes a staged bulk real in one durable commit, with its event
	// (bulk.started, when it is running) and its claim. created is called after
	// that commit and before CreateBulk returns; it must not block.
	CreateBulk(ctx context.Context, b messaging.Bulk, claim *messaging.Claim, created func()) error
	// DropBulk forgets the chunks of a bulk that was never created.
	DropBulk(ctx context.Context, bulkID string) error
	// SweepBulks forgets the chunks that processes before this one have staged and
	// not created. It must be called before the first StageBulk.
	SweepBulks(ctx context.Context) error
	// BulkSkips tells for persons what would skip them now in a bulk with these
	// instances and options: a reason by person. For rehearsals.
	BulkSkips(ctx context.Context, b messaging.Bulk, now time.Time, persons []string) (map[string]string, error)
}

// Turns gives rows their turn.
type Turns interface {
	// OpenBulks lists the bulks of all workspaces that have not ended, and may list
	// canceled ones that have messages in the outbox.
	OpenBulks(ctx context.Context) ([]messaging.Bulk, error)
	// Waiting lists the messages of a bulk that are in the outbox, in its order.
	BulkWaiting(ctx context.Context, b messaging.Bulk) ([]Waiting, error)
	// BulkSpent returns when the bulk's last messages came to an instance, or went
	// from it if that was later, oldest first, since a time; at most limit.
	BulkSpent(ctx context.Context, b messaging.Bulk, instanceID string, since time.Time, limit int) ([]time.Time, error)
	// Chunks reads the chunks that hold rows from a number on, in order, at most
	// limit of them.
	Chunks(ctx context.Context, bulkID string, from int64, limit int) ([]Chunk, error)
	// Again lists rows that failed and wait for another turn, in order.
	Again(ctx context.Context, bulkID string, limit int) ([]int64, error)
	// Turn gives rows their turn in one durable commit shared with others: each
	// becomes its message with its place in the outbox and its event, or is
	// skipped for an opt-out, the window or the cap, and the counts move. Nothing
	// happens to a bulk that is not running any more, and nothing twice to a row:
	// what was done is told to turned after the commit, in the order of the
	// commits and before Turn returns; it must not block.
	Turn(ctx context.Context, t Turn, turned func(Turned)) error
}

// Register answers questions and does what owners ask.
type Register interface {
	// Bulk finds a bulk that the tenancy opens: all of its instances.
	// fault.ErrNotFound.
	Bulk(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
	Bulks(ctx context.Context, tenancy messaging.Tenancy, page messaging.Page) ([]messaging.Bulk, error)
	// BulkRecipients lists rows in their order, all that were accepted, behind
	// page.Cursor (a row's number in decimal). status narrows them; empty: all.
	// A row that waits in the bulk is queued, or canceled with its bulk.
	BulkRecipients(ctx context.Context, b messaging.Bulk, status string, page messaging.Page) ([]messaging.BulkRecipient, error)
	// RetryFailed lets the rows whose messages failed or expired have another turn
	// and returns how many. A bulk that had completed is running when it returns,
	// unless there were none. Fault: fault.ErrConflict for a canceled bulk.
	RetryFailed(ctx context.Context, tenancy messaging.Tenancy, id string, now time.Time) (int64, error)
}

// OptOuts keeps who wants no bulks. An instance id is empty for the whole
// workspace; only a tenancy that is not locked sees those, or writes them.
type OptOuts interface {
	// OptOut notes a person once; what is noted already stays as it is and is
	// returned.
	OptOut(ctx context.Context, o messaging.OptOut) (messaging.OptOut, error)
	// OptIn forgets one. fault.ErrNotFound.
	OptIn(ctx context.Context, tenancy messaging.Tenancy, instanceID, person string) (messaging.OptOut, error)
	// OptOuts lists them, newest first; instanceID and person narrow when given.
	// The cursor is that of OptOutCursor.
	OptOuts(ctx context.Context, tenancy messaging.Tenancy, instanceID, person string, page messaging.Page) ([]messaging.OptOut, error)
}

// Chunk is a run of rows in their stored form.
type Chunk struct {
	First int64 // the number of its first row
	Rows  int
	Data  []byte
}

// Waiting is a message of a bulk that is in the outbox.
type Waiting struct {
	MessageID  string
	InstanceID string
	Person     string
	Held       bool // by the network, or because somebody said so
}

// Turn is a batch of rows whose time has come.
type Turn struct {
	Bulk messaging.Bulk // as it was created; its options say what skips a row
	Rows []Candidate    // in their order, of one kind: first turns, or retries
	// Next is Bulk.Next from now on: the first row behind these that has not had
	// its turn; zero for a turn of retries.
	Next int64
	At   time.Time
}

// Candidate is a row with the message that it becomes, unless it is skipped.
type Candidate struct {
	Row     int64
	Person  string
	Message *messaging.Message
	// Skipped is set for a row that was skipped when the bulk was accepted: it
	// has had its turn.
	Skipped bool
}

// Turned is what a turn did.
type Turned struct {
	// Positions are the places in the outbox, by index of Turn.Rows; zero for a
	// row that is no message.
	Positions []int64
	// Stopped says that the bulk was not running: nothing was done.
	Stopped bool
}
