package runs

import (
	"context"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Kind is what a step does.
type Kind string

// The kinds of steps (API.md section 10).
const (
	Send      Kind = "send"      // sends a message, as POST …/messages does
	Inbound   Kind = "inbound"   // a contact sends a message
	Expect    Kind = "expect"    // waits for an event, and moves the clock until it comes
	Advance   Kind = "advance"   // moves the clock
	Drop      Kind = "drop"      // the connection is lost
	Reconnect Kind = "reconnect" // and comes back
	Connect   Kind = "connect"   // as POST …/connect does: begins pairing when no phone is linked
	Scan      Kind = "scan"      // a phone scans the code that is shown
	Logout    Kind = "logout"    // the phone removes the device
	Ban       Kind = "ban"       // the network bans the number
)

// MaxSteps bounds a script, and MaxEvents what is told of one step.
const (
	MaxSteps  = 500
	MaxEvents = 1000
)

// Script is what a run plays.
type Script struct {
	Tenancy  messaging.Tenancy
	KeyID    string
	Lineage  string
	Name     string
	Instance *messaging.Instance // nil: the run makes one for itself
	Unpaired bool                // of its own instance: it begins created, to rehearse pairing
	Steps    []Step
	// Seed is X-Sandbox-Seed: the ids of the run, its own instance and its messages
	// are drawn from it. A run with an instance of its own replaces the one before it
	// that had the same seed. On a given instance what was sent stays, so the n-th run
	// since the reset has the ids of the n-th.
	Seed string
}

// Step is one step of a script.
type Step struct {
	Kind Kind
	// Act does Send and Inbound, in the name of whoever asked for the run.
	Act func(ctx context.Context, i messaging.Instance) (*messaging.Message, error)
	// Fails is the code that the step is to be refused with; empty: it is to succeed.
	Fails string
	// Expect is what Expect waits for.
	Expect Expectation
	// Lasts is how far Advance moves the clock, and how long Drop and Ban last;
	// zero for these: until Reconnect, for good.
	Lasts time.Duration
	// Code is the pairing code that Scan types; empty: it scans the QR.
	Code string
}

// Expectation is an event that is to come. What counts is what happened since the
// last step that is no expectation began, but for what was sent before the run;
// each event meets one expectation at most.
type Expectation struct {
	Event  messaging.EventType
	Within time.Duration // by the run's clock, from the beginning of the step
	// Matches narrows what counts by the event as it is shown; nil: all of its type.
	Matches func(*messaging.Event) bool
	Absent  bool // the event must not come
}

// State is how far a run is.
type State string

// The states.
const (
	Running State = "running"
	Ended   State = "ended"
	Aborted State = "aborted" // its process died, or its time was up
)

// Run is a run and what came of it.
type Run struct {
	ID          string
	WorkspaceID string
	InstanceID  string
	OwnInstance bool
	Lineage     string
	Name        string
	State       State
	Passed      bool
	StartedAt   time.Time // by the machine's time, as EndedAt
	EndedAt     time.Time
	Report
}

// Report is what a run tells. Its times are those of the run's clock.
type Report struct {
	Began   time.Time     `json:"began"`
	Elapsed time.Duration `json:"elapsed"` // by the run's clock
	Steps   []StepReport  `json:"steps"`
}

// StepReport is what came of a step.
type StepReport struct {
	Kind    Kind          `json:"kind"`
	Passed  bool          `json:"passed"`
	Skipped bool          `json:"skipped,omitzero"` // a step before it failed
	At      time.Duration `json:"at"`               // when it began, since the run began
	Took    time.Duration `json:"took"`
	// MessageID is the message that Send or Inbound made, or the one of the event
	// that was expected.
	MessageID string      `json:"message_id,omitzero"`
	Met       string      `json:"met,omitzero"`     // the id of the event that was expected
	Problem   *Problem    `json:"problem,omitzero"` // why it did not pass, or with what it was refused as it should be
	Events    []Happening `json:"events,omitempty"`
	More      int         `json:"more,omitzero"` // events that are not told: MaxEvents are
}

// Problem is a fault in a report.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Happening is an event in a report.
type Happening struct {
	ID        string              `json:"id"`
	Type      messaging.EventType `json:"type"`
	At        time.Duration       `json:"at"` // since the run began
	MessageID string              `json:"message_id,omitzero"`
	Says      string              `json:"says,omitzero"` // an error code or a state's reason
}

// ErrInProgress is the fault of a run on an instance that is in another run.
var ErrInProgress = fault.New(fault.Conflict, "SANDBOX_RUN_IN_PROGRESS", "The instance is in another run. Wait for its end, or leave out instance.")

// Store keeps runs. Its faults are fault.ErrNotFound and fault.ErrUnavailable.
type Store interface {
	// InsertRun stores a run that begins.
	InsertRun(ctx context.Context, r Run) error
	// EndRun stores what came of a run, unless it has ended already.
	EndRun(ctx context.Context, r Run) error
	// FindRun returns a run whose instance is open to the tenancy.
	FindRun(ctx context.Context, t messaging.Tenancy, id string) (Run, error)
	// OpenRuns returns the runs of all workspaces that have not ended: it is a
	// recovery scan.
	OpenRuns(ctx context.Context) ([]Run, error)
	// EventsAt reads events of a world by their sequences, in order.
	EventsAt(ctx context.Context, w messaging.World, sequences []int64) ([]messaging.Event, error)
	// ForgetRun deletes a run that has ended with all that it left: its own
	// instance, and the messages, carriages and events of that.
	ForgetRun(ctx context.Context, r Run) error
	// SeedSource returns what seeded ids are made of besides the seed.
	SeedSource(ctx context.Context, workspace string) (string, error)
	// NextSeed counts a request that draws its ids from a seed; the first is 0.
	NextSeed(ctx context.Context, workspace, seed string) (int64, error)
	// SettleInstance forgets what the network owes for an instance's messages.
	SettleInstance(ctx context.Context, instanceID string) error
}
