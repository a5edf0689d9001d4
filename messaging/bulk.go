package messaging

import "time"

// BulkState is where a bulk stands.
//
//	scheduled → running ⇄ paused
//	     └─────────┴────────┴──→ completed | canceled
//
// A bulk that has completed runs again when its failed rows are retried. A
// canceled one is never left.
type BulkState string

// The states of API.md section 7.
const (
	BulkScheduled BulkState = "scheduled"
	BulkRunning   BulkState = "running"
	BulkPaused    BulkState = "paused"
	BulkCompleted BulkState = "completed" // no row can still be sent
	BulkCanceled  BulkState = "canceled"
)

// Ended reports whether nothing more is sent, unless somebody asks for it.
func (s BulkState) Ended() bool { return s == BulkCompleted || s == BulkCanceled }

// MaxBulkRows is how many recipients one bulk has at most.
const MaxBulkRows = 100_000

// Bulk is one message for many recipients: its rows. What it says is a template,
// whose placeholders each row fills in.
//
// A row waits in the bulk until its turn; then it becomes a message of its own,
// in the lane of one of the bulk's instances.
type Bulk struct {
	ID          string
	WorkspaceID string
	Environment Environment
	Name        string
	InstanceIDs []string // sorted; never empty
	KeyID       string   // the key that asked for it
	Lineage     string
	State       BulkState
	Counts      BulkCounts
	Pending     int64 // of Counts.Queued, the rows that are no message yet
	// Next is the number of the first row that has not had its first turn.
	Next      int64
	Template  Content // with placeholders
	Metadata  []byte  // a JSON object that every message carries, or nil
	Options   BulkOptions
	CreatedAt time.Time
	StartedAt time.Time // when it began to run; zero before it
	PausedAt  time.Time // zero unless it is paused
	EndedAt   time.Time // zero unless it has completed or was canceled
}

// BulkOptions are how a bulk is sent.
type BulkOptions struct {
	Priority     Priority
	SendAt       time.Time // zero: at once
	TimeZone     string
	Pace         *BulkPace
	QuietHours   *BulkQuiet
	Dedupe       bool          // of recipients that come again in this bulk, only the first is sent to
	DedupeWindow time.Duration // skip who had another bulk within it; zero: none
	FrequencyCap *FrequencyCap // nil: none
	ExpiresIn    time.Duration // how long each message may wait once its turn has come; zero: the default
	SkipInvalid  bool          // rows that cannot be sent are skipped; false: the bulk is refused
	Sandbox      *Override     // of every message of a test bulk
}

// BulkPace is how fast a bulk may send through each of its instances, beside
// the instance's own pace.
type BulkPace struct {
	MinGap  time.Duration
	Jitter  time.Duration
	PerHour int // 0: any number
}

// BulkQuiet is the time of day in which a bulk does not send: HH:MM, by the
// clocks of an IANA time zone.
type BulkQuiet struct {
	From     string
	To       string
	TimeZone string
}

// FrequencyCap bounds how many bulk messages a recipient gets from the bulk's
// instances within a time.
type FrequencyCap struct {
	Max int
	Per time.Duration
}

// BulkCounts part a bulk's rows by where they stand now; the others add up to
// Total. Played counts as read, expired as failed.
type BulkCounts struct {
	Total     int64
	Queued    int64 // can still be sent, whatever it waits for
	Sent      int64
	Delivered int64
	Read      int64
	Failed    int64
	Skipped   int64
	Canceled  int64
}

// Of returns the counter of the rows whose messages stand at a status; nil for
// one that no outbound message has.
func (c *BulkCounts) Of(s Status) *int64 {
	switch s {
	case StatusScheduled, StatusQueued, StatusHeld, StatusSending:
		return &c.Queued
	case StatusSent:
		return &c.Sent
	case StatusDelivered:
		return &c.Delivered
	case StatusRead, StatusPlayed:
		return &c.Read
	case StatusFailed, StatusExpired:
		return &c.Failed
	case StatusCanceled:
		return &c.Canceled
	case StatusReceived:
	}
	return nil
}

// The reasons for which a row is skipped.
const (
	SkippedInvalid   = "INVALID_RECIPIENT"
	SkippedSandbox   = "SANDBOX_RECIPIENT"
	SkippedVariable  = "MISSING_VARIABLE"
	SkippedTooLong   = "TEXT_TOO_LONG"
	SkippedUnfit     = "INVALID_ROW"
	SkippedDuplicate = "DUPLICATE"
	SkippedOptedOut  = "OPTED_OUT"
	SkippedRecent    = "RECENTLY_SENT" // dedupe_window
	SkippedFrequency = "FREQUENCY_CAP"
)

// BulkRecipient is a row of a bulk as the API shows it.
type BulkRecipient struct {
	ID         string // rcp_…, of the bulk and the row's number
	Row        int64  // from 1
	To         Address
	Variables  []byte // a JSON object
	Status     string // a Status, or "skipped"
	Error      *SendError
	MessageID  string // empty while it waits in the bulk, and when it was skipped
	InstanceID string // the same
	State      State  // of its message
}

// BulkChange says that a bulk was paused, resumed, canceled or started. The
// store decides whether it still can be, and counts.
type BulkChange struct {
	WorkspaceID string
	Environment Environment
	BulkID      string
	State       BulkState // running, paused or canceled
	At          time.Time
}

func (BulkChange) record() {}

// OptOut is a contact who does not want an instance's bulks.
type OptOut struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string // empty: the whole workspace's
	To          Address
	Keyword     string // what the contact wrote; empty: it was entered by a key
	KeyID       string // the key that entered it; empty: the contact wrote
	CreatedAt   time.Time
}
