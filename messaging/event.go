package messaging

import "time"

// EventType names what happened.
type EventType string

// The events of API.md section 8 that exist so far.
const (
	EventMessageReceived EventType = "message.received"

	EventInstanceCreated      EventType = "instance.created"
	EventInstanceConnected    EventType = "instance.connected"
	EventInstanceDisconnected EventType = "instance.disconnected"
	EventInstanceLoggedOut    EventType = "instance.logged_out"
	EventInstanceDeleted      EventType = "instance.deleted"
)

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
}

// Record is something that a room or a driver asks the journal to record:
// StatusChange, InboundMessage or InstanceChange.
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
// instance and WhatsApp id.
type InboundMessage struct{ Message Message }

// InstanceChange says that an instance was seen in another state.
type InstanceChange struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Type        EventType
	State       InstanceState
	Reason      string
	Until       time.Time
	At          time.Time
}

func (StatusChange) record()   {}
func (InboundMessage) record() {}
func (InstanceChange) record() {}
