package messaging

import (
	"context"
	"time"

	"portaria/internal/fault"
)

// EventType names what happened.
type EventType string

// The events of API.md section 8 that exist so far.
const (
	EventMessageReceived EventType = "message.received"
	EventMessageEdited   EventType = "message.edited"
	EventMessageRevoked  EventType = "message.revoked"
	EventMessageReaction EventType = "message.reaction"

	EventInstanceCreated      EventType = "instance.created"
	EventInstancePairing      EventType = "instance.pairing"
	EventInstanceConnected    EventType = "instance.connected"
	EventInstanceDisconnected EventType = "instance.disconnected"
	EventInstanceRestricted   EventType = "instance.restricted"
	EventInstanceBanned       EventType = "instance.banned"
	EventInstanceLoggedOut    EventType = "instance.logged_out"
	EventInstanceDeleted      EventType = "instance.deleted"

	EventCallReceived EventType = "call.received"

	EventBulkStarted   EventType = "bulk.started"
	EventBulkPaused    EventType = "bulk.paused"
	EventBulkResumed   EventType = "bulk.resumed"  // also when failed rows are retried
	EventBulkProgress  EventType = "bulk.progress" // another tenth of its rows has been sent or has ended
	EventBulkCompleted EventType = "bulk.completed"
	EventBulkCanceled  EventType = "bulk.canceled"

	EventWebhookDisabled EventType = "webhook.disabled"
	EventWebhookTest     EventType = "webhook.test" // asked for, and told to one endpoint alone
)

// EventTypes are the types of API.md section 8, and that of a test. Some do not
// happen yet. Nobody writes to it.
var EventTypes = []EventType{
	"message.scheduled", "message.queued", "message.held", "message.sent", "message.delivered", "message.read", "message.played",
	"message.failed", "message.expired", "message.canceled",
	EventMessageReceived, EventMessageEdited, EventMessageRevoked, EventMessageReaction,
	EventInstanceCreated, EventInstancePairing, EventInstanceConnected, EventInstanceDisconnected,
	EventInstanceRestricted, EventInstanceBanned, EventInstanceLoggedOut, EventInstanceDeleted,
	EventBulkStarted, EventBulkPaused, EventBulkResumed, EventBulkProgress, EventBulkCompleted, EventBulkCanceled,
	EventCallReceived, EventWebhookDisabled, EventWebhookTest,
}

// MessageEvent returns the type of the event that records a message's status;
// false for sending, which is shown but not an event.
func MessageEvent(s Status) (EventType, bool) {
	return EventType("message." + string(s)), s != StatusSending
}

// Event is something that happened, recorded once and told to every sink.
type Event struct {
	ID          string
	Sequence    int64 // rises by one within a workspace's environment
	Type        EventType
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Timestamp   time.Time

	MessageID string    // of a message event
	State     State     // the message as it stood after this event
	Message   *Message  // the whole message; filled when events are read back
	Instance  *Instance // of an instance event
	Call      *Call     // of a call event
	Bulk      *Bulk     // of a bulk event; InstanceID is its instance, or empty when it has several
	Webhook   *Webhook  // of a webhook event
}

// ErrUnrecordable is the fault of a record that the journal will never take, for
// what is in it. To report it again is of no use, and would keep back what comes
// behind it.
var ErrUnrecordable = fault.New(fault.Internal, "UNRECORDABLE", "This cannot be recorded.")

// Sink is somewhere that events go: the webhooks, the streams, a broker. What it
// must not lose it finds in the store; Tell only says that there is something.
type Sink interface {
	// Tell hears of committed events, in their order, while no other write goes
	// on: it must not block or write.
	Tell(events []Event)
	// Run works until ctx ends, and returns when all that it started has ended.
	Run(ctx context.Context) error
	// Idle waits until the sink has done what is due in a workspace's test world,
	// by its clock.
	Idle(ctx context.Context, workspace string) error
}

// Record is something that a room or a driver asks the journal to record:
// StatusChange, InboundMessage, MessageEdit, MessageRevoke, CallReceived,
// BulkChange or InstanceChange.
type Record interface{ record() }

// StatusChange says that a message has got somewhere. It may come late or
// twice; State.Apply sorts that out.
type StatusChange struct {
	WorkspaceID string
	Environment Environment
	MessageID   string
	Status      Status
	At          time.Time
	Attempts    int        // tries so far, when known
	Error       *SendError // of failed, expired, canceled, held, and of queued after a fault
	Due         time.Time  // when a waiting message may be tried next; zero: at once
	Parked      bool       // the message waits only for another one to the same recipient
}

// InboundMessage is a message from a contact. It is recorded once by its
// instance and WhatsApp id. One whose kind is a reaction is told as
// message.reaction, any other as message.received.
type InboundMessage struct{ Message Message }

// MessageEdit says that a message's author has changed its content. An edit to
// the content that the message has already is no news.
type MessageEdit struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	WAMessageID string  // of the message that was edited
	Author      Address // of the message; empty: we, on the instance's own phone
	AuthorLID   string  // …@lid, when it is known besides the number: the message may have come under it
	Content     Content
	At          time.Time
}

// MessageRevoke says that a message's author has deleted it for everyone.
type MessageRevoke struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	WAMessageID string  // of the message that was revoked
	Author      Address // of the message, also when a group's admin revoked it; empty: we, on the instance's own phone
	AuthorLID   string  // as in MessageEdit
	At          time.Time
}

// CallReceived is a call from a contact. It is told once by its instance and
// call id.
type CallReceived struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Call        Call
}

// Call is a call as events show it.
type Call struct {
	ID       string // WhatsApp's id of the call
	From     Address
	Video    bool
	Group    bool
	Rejected bool // by settings.reject_calls
	At       time.Time
}

// InstanceChange says that an instance was seen in another state, or that what
// was asked of it has been done. The state and reason that it has already are
// no event. Instance.Apply decides what it means.
type InstanceChange struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Type        EventType     // empty: a state that is shown but is no event, as connecting
	State       InstanceState // empty: as before
	Reason      string        // one of Reason…
	Until       time.Time
	At          time.Time

	Done   time.Time // the AskedAt of what was asked and is done now; zero: nothing
	Linked *Link     // the phone that is linked now, or none any more; nil: as before
	Undone bool      // the owner's desire ends with this, unless another ask is open: a logout
}

// Link is a phone that was linked to an instance. The zero value unlinks it;
// the phone number stays known, so that linking it again can be told from
// linking another.
type Link struct {
	ID       string // what the driver knows the session by
	Phone    string // digits
	PushName string
}

func (StatusChange) record()   {}
func (InboundMessage) record() {}
func (MessageEdit) record()    {}
func (MessageRevoke) record()  {}
func (CallReceived) record()   {}
func (InstanceChange) record() {}
