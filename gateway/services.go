package gateway

import (
	"context"
	"io"
	"time"

	"portaria/auth"
	"portaria/events/stream"
	"portaria/events/webhooks"
	"portaria/instances"
	"portaria/instances/pairlink"
	"portaria/media"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/sandbox"
)

// Authenticator turns a presented token into a grant.
// Faults: auth.ErrUnauthorized, auth.ErrKeyExpired, auth.ErrBusy.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*auth.Grant, error)
}

// Sender accepts messages into the durable queue.
type Sender interface {
	Accept(ctx context.Context, draft outbox.Draft) (messaging.Message, error)
	// Cancel ends a message that waits. Faults: fault.ErrConflict when the
	// network has it already or it has ended.
	Cancel(ctx context.Context, tenancy messaging.Tenancy, messageID string) (messaging.Message, error)
}

// Instances keeps the instances of all workspaces.
type Instances interface {
	// Resolve finds an instance by id or name; instances.ErrNotFound.
	Resolve(ctx context.Context, tenancy messaging.Tenancy, ref string) (messaging.Instance, error)
	Create(ctx context.Context, tenancy messaging.Tenancy, draft instances.Draft) (messaging.Instance, error)
	Update(ctx context.Context, tenancy messaging.Tenancy, id string, patch instances.Patch) (messaging.Instance, error)
	Delete(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Instance, error)
	List(ctx context.Context, tenancy messaging.Tenancy, page messaging.Page) ([]messaging.Instance, error)
}

// Connections does what owners ask of their instances' connections. What is
// asked is durable when the method returns, and done a moment later.
type Connections interface {
	// Connect asks for a connection, and for pairing when no phone is linked:
	// by a code for pairPhone (digits), or by QR when it is empty. It changes
	// nothing of an instance that is connected.
	Connect(ctx context.Context, tenancy messaging.Tenancy, id, pairPhone string) (messaging.Instance, error)
	Disconnect(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Instance, error)
	Restart(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Instance, error)
	Logout(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Instance, error)
	// Pairing returns what is to be scanned or typed now; it waits a little for
	// a first code. Faults: instances.ErrAlreadyConnected, instances.ErrNotPairing.
	Pairing(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Pairing, error)
	// Watch sends when the instance may have changed; codes that another process
	// shows come unannounced.
	Watch(id string) (changes <-chan struct{}, stop func())
}

// Numbers asks the network about phone numbers.
type Numbers interface {
	// Check returns what is known of each number, in their order.
	// Faults: instances.ErrNotConnected, and those of the network's budget.
	Check(ctx context.Context, tenancy messaging.Tenancy, id string, numbers []messaging.Address) ([]messaging.NumberCheck, error)
}

// Proxies knows the proxies of instances, which are kept sealed.
type Proxies interface {
	// Shown returns an instance's settings as owners may see them.
	Shown(i messaging.Instance) []byte
}

// Pacer knows how fast instances may send.
type Pacer interface {
	// Pace tells what an instance has used of its pace; the caller has checked
	// that the tenancy opens it.
	Pace(ctx context.Context, tenancy messaging.Tenancy, instanceID string) (outbox.PaceState, error)
}

// PairingLinks keeps the one-time pages on which phones are linked. Their
// faults are those of pairlink.
type PairingLinks interface {
	Create(ctx context.Context, draft pairlink.Draft) (pairlink.Token, pairlink.Link, error)
	Open(ctx context.Context, token, session string) (pairlink.Link, error)
	Unlock(ctx context.Context, token, pin string) (session string, err error)
	// Use ends the open links of an instance.
	Use(ctx context.Context, instanceID string) error
}

// Reader answers questions about what is stored. Absent and invisible objects
// are fault.ErrNotFound; lists ask for one row more than Page.Limit to know
// whether there is a next page.
type Reader interface {
	Message(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Message, error)
	// MessageByWAID finds a message of an instance by its WhatsApp id.
	MessageByWAID(ctx context.Context, tenancy messaging.Tenancy, instanceID, waMessageID string) (messaging.Message, error)
	Messages(ctx context.Context, tenancy messaging.Tenancy, filter messaging.MessageFilter, page messaging.Page) ([]messaging.Message, error)
	Events(ctx context.Context, tenancy messaging.Tenancy, filter messaging.EventFilter, page messaging.Page) ([]messaging.Event, error)
	RequestLogs(ctx context.Context, tenancy messaging.Tenancy, filter messaging.LogFilter, page messaging.Page) ([]messaging.RequestLog, error)
	Carriages(ctx context.Context, tenancy messaging.Tenancy, instanceID string, page messaging.Page) ([]messaging.Carriage, error)
}

// Webhooks keeps the endpoints that are told of events. Its faults are those of
// the room webhooks; absent and invisible endpoints are fault.ErrNotFound.
type Webhooks interface {
	Create(ctx context.Context, tenancy messaging.Tenancy, draft webhooks.Draft) (messaging.Webhook, webhooks.Secret, error)
	Find(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Webhook, error)
	List(ctx context.Context, tenancy messaging.Tenancy, page messaging.Page) ([]messaging.Webhook, error)
	Update(ctx context.Context, tenancy messaging.Tenancy, id string, patch webhooks.Patch) (messaging.Webhook, error)
	Delete(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Webhook, error)
	Rotate(ctx context.Context, tenancy messaging.Tenancy, id string, r webhooks.Rotation) (messaging.Webhook, webhooks.Secret, error)
}

// Deliveries knows what endpoints were told, and tells them again.
type Deliveries interface {
	// Test queues an event for one endpoint alone and waits a few seconds for its
	// first try. Fault: webhooks.ErrDisabled.
	Test(ctx context.Context, tenancy messaging.Tenancy, webhookID string) (webhooks.Delivery, error)
	Deliveries(
		ctx context.Context, tenancy messaging.Tenancy, webhookID string, filter webhooks.DeliveryFilter, page messaging.Page,
	) ([]webhooks.Delivery, error)
	// Replay fails with webhooks.ErrNotDelivered while the delivery is pending.
	Replay(ctx context.Context, tenancy messaging.Tenancy, webhookID, deliveryID string) (webhooks.Delivery, error)
	ReplayRange(ctx context.Context, tenancy messaging.Tenancy, webhookID string, r webhooks.Range) (webhooks.Replayed, error)
}

// Bulks accepts bulks and answers for them. Its faults are those of the room
// bulk; absent and invisible ones are fault.ErrNotFound.
type Bulks interface {
	// Accept checks every row and stores the bulk, whole or not at all.
	Accept(ctx context.Context, draft bulk.Draft) (messaging.Bulk, error)
	// Rehearse answers what Accept would do; it neither pays nor stores.
	Rehearse(ctx context.Context, draft bulk.Draft) (bulk.Rehearsal, error)
	Find(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
	List(ctx context.Context, tenancy messaging.Tenancy, page messaging.Page) ([]messaging.Bulk, error)
	// Recipients lists rows of a bulk that was found, in their order, behind the
	// one whose number is the cursor; status narrows them unless it is empty.
	Recipients(ctx context.Context, b messaging.Bulk, status string, page messaging.Page) ([]messaging.BulkRecipient, error)
	// Estimate tells when a bulk will probably have been sent; zero: unknown.
	Estimate(ctx context.Context, b messaging.Bulk) time.Time
}

// BulkControls does what owners ask of their bulks. Faults: fault.ErrNotFound;
// fault.ErrConflict with details.state where the bulk's state does not allow it.
type BulkControls interface {
	Pause(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
	Resume(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
	Cancel(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
	RetryFailed(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Bulk, error)
}

// OptOuts keeps who wants no bulks. An instance id is empty for the whole
// workspace, a person as messaging.Person has it.
type OptOuts interface {
	// OptOut notes a contact; one that is noted already stays as it is.
	OptOut(ctx context.Context, o messaging.OptOut) (messaging.OptOut, error)
	// OptIn forgets one; fault.ErrNotFound.
	OptIn(ctx context.Context, tenancy messaging.Tenancy, instanceID, person string) (messaging.OptOut, error)
	// OptOuts lists them, newest first; an instance and a person narrow when given.
	OptOuts(ctx context.Context, tenancy messaging.Tenancy, instanceID, person string, page messaging.Page) ([]messaging.OptOut, error)
}

// Streams tells of events as they happen.
type Streams interface {
	// Follow tells a listener of events until ctx ends or it fails. Errors:
	// stream.ErrSlow, stream.ErrStopped, and those of the listener.
	Follow(ctx context.Context, s stream.Subscription, l stream.Listener) error
}

// Media keeps the files of messages. Its faults are those of the room media.
type Media interface {
	// Spool writes a file to the disk for the time of a request.
	Spool(r io.Reader, limit int64) (*media.Spooled, error)
	// Fetch spools the file of a URL.
	Fetch(ctx context.Context, url string, limit int64) (*media.Fetched, error)
	// Keep makes a spooled file durable under a new id.
	Keep(ctx context.Context, file *media.Spooled, info messaging.MediaInfo) (messaging.MediaInfo, error)
	// Drop forgets a file that was kept for nothing.
	Drop(ctx context.Context, info messaging.MediaInfo) error
	// Find and Open answer within the tenancy; fault.ErrNotFound.
	Find(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.MediaInfo, error)
	Open(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.MediaInfo, io.ReadCloser, error)
}

// Awaiter waits for a message to get somewhere.
type Awaiter interface {
	// Await returns the message once it has reached want or an end, or as it
	// stands when ctx ends.
	Await(ctx context.Context, tenancy messaging.Tenancy, messageID string, want messaging.Status) (messaging.Message, error)
}

// Clocks controls the clocks of test worlds.
type Clocks interface {
	Show(ctx context.Context, workspace string) (sandbox.ClockState, error)
	SetMode(ctx context.Context, workspace string, mode sandbox.Mode) (sandbox.ClockState, error)
	// Advance moves a frozen or real clock and returns when all that came due
	// has been done, or when ctx ends.
	Advance(ctx context.Context, workspace string, by time.Duration) (sandbox.ClockState, error)
}

// IdempotencyStore keeps the answers of requests with an Idempotency-Key.
type IdempotencyStore interface {
	// Claimed returns what is kept under scope; false when nothing is.
	Claimed(ctx context.Context, tenancy messaging.Tenancy, scope string) (messaging.Claim, bool, error)
	// Keep stores a claim, or replaces the answer of one with the same request.
	Keep(ctx context.Context, tenancy messaging.Tenancy, claim messaging.Claim) error
}

// RequestLogger takes a row of api_logs. It must not block.
type RequestLogger interface {
	Log(row messaging.RequestLog)
}

// Readiness says what keeps the process from serving; nil when nothing does.
type Readiness interface {
	Ready(ctx context.Context) error
}
