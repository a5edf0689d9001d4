package bulk

import (
	"context"
	"log/slog"
	"sync"

	"portaria/messaging"
	"portaria/outbox"
)

// Outbox is what bulks need of the queue behind every send.
// *outbox.Dispatcher implements it.
type Outbox interface {
	// Take hands a message that was just committed to its lane. It does not block.
	Take(m *messaging.Message, position int64)
	// Amend changes what messages that wait are to become, in one commit with
	// other records.
	Amend(ctx context.Context, a outbox.Amendment, also ...messaging.Record) (amended []string, err error)
	// Standing tells what waits for an instance, and its pace.
	Standing(ctx context.Context, i messaging.Instance) (outbox.Standing, error)
}

var _ Outbox = (*outbox.Dispatcher)(nil)

// Options are what a service needs. All fields but Refuses, Predict, Dir and
// Logger must be set.
type Options struct {
	Store    Store
	Outbox   Outbox
	Reporter messaging.Reporter
	Channels outbox.Channels // who is connected
	Clocks   func(messaging.World) messaging.Clock
	// Instance finds an instance, whose settings say whether it has a pace of its
	// own. Its fault fault.ErrNotFound, or another of that kind, says that the
	// instance was deleted. It is asked after Wake and while a bulk is estimated.
	Instance func(ctx context.Context, world messaging.World, id string) (messaging.Instance, error)
	// Refuses says which test recipients are refused at once; nil: none.
	Refuses func(messaging.Address) bool
	// Predict tells for rehearsals where a message to a test recipient will end: a
	// status, or an error code. nil: "accepted".
	Predict func(to messaging.Address, o *messaging.Override) string
	Dir     string // where rows lie while a bulk is being accepted; empty: the system's
	Logger  *slog.Logger
}

// Service accepts bulks, sends them, and answers for them.
//
// The order of its life: New; Recover, before the outbox recovers; Start, after it
// has and before the first Accept; Stop, before the outbox stops. From New on it
// must be told of committed events (Tell), of instances that connect or change
// (Wake) and of opt-outs (OptedOut).
type Service struct {
	store    Store
	outbox   Outbox
	reporter messaging.Reporter
	channels outbox.Channels
	clocks   func(messaging.World) messaging.Clock
	instance func(context.Context, messaging.World, string) (messaging.Instance, error)
	refuses  func(messaging.Address) bool
	predict  func(messaging.Address, *messaging.Override) string
	dir      string
	log      *slog.Logger
	ids      messaging.IDSource // by the machine's time: a sandbox clock may stand still

	ctx    context.Context // ends when runs must stop
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	runs     map[string]*run // of bulks that have not ended
	started  bool
	stopped  bool
	active   map[string]int // runs at work by workspace, of test worlds
	watchers int            // how many wait for rested
	rested   chan struct{}  // closed, and made anew, when a run has come to rest

	waiting tracker
}

// New returns a service that has nothing to do yet.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, outbox: o.Outbox, reporter: o.Reporter, channels: o.Channels, clocks: o.Clocks, instance: o.Instance,
		refuses: o.Refuses, predict: o.Predict, dir: o.Dir, log: o.Logger,
		runs: make(map[string]*run), active: make(map[string]int), rested: make(chan struct{}),
		waiting: tracker{runs: make(map[string]*run)},
	}
	if s.refuses == nil {
		s.refuses = func(messaging.Address) bool { return false }
	}
	if s.predict == nil {
		s.predict = func(messaging.Address, *messaging.Override) string { return outcomeAccepted }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Find returns a bulk that the tenancy opens: all of its instances.
// fault.ErrNotFound.
func (s *Service) Find(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.store.Bulk(ctx, t, id)
}

// List returns the bulks that the tenancy opens, newest first. The cursor is the
// id of the last one seen.
func (s *Service) List(ctx context.Context, t messaging.Tenancy, page messaging.Page) ([]messaging.Bulk, error) {
	return s.store.Bulks(ctx, t, page)
}

// Recipients lists rows of a bulk that was found, in their order, behind the row
// whose number is the cursor. status narrows them: a messaging.Status, or
// "skipped"; empty: all.
func (s *Service) Recipients(ctx context.Context, b messaging.Bulk, status string, page messaging.Page) ([]messaging.BulkRecipient, error) {
	return s.store.BulkRecipients(ctx, b, status, page)
}
