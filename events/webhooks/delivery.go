package webhooks

import (
	"time"

	"portaria/messaging"
)

// DeliveryState is how far a delivery has got.
type DeliveryState string

// The states. A delivery that an endpoint's filter turns out not to want is
// forgotten.
const (
	Pending   DeliveryState = "pending"
	Delivered DeliveryState = "delivered"
	Failed    DeliveryState = "failed" // the last try has failed
)

// Delivery is one event on its way to one endpoint, with what became of the last
// try.
type Delivery struct {
	messaging.World

	ID         string
	WebhookID  string
	Sequence   int64 // of the event
	EventID    string
	EventType  messaging.EventType
	InstanceID string
	Direct     bool   // a test or a replay: the endpoint's filter is not asked
	Node       string // whose work it is: the result of another one's try is not recorded
	CreatedAt  time.Time

	State       DeliveryState
	Due         time.Time // of a pending one: when it is tried next
	Attempts    int
	AttemptedAt time.Time
	StatusCode  int // 0: there was no answer
	Duration    time.Duration
	ErrorClass  ErrorClass
	Answer      string // the first AnswerKept bytes of the answer's body, as valid UTF-8
}

// Attempt is a try of a delivery: the delivery as it stands after it. One that is
// Unwanted is forgotten.
type Attempt struct {
	Delivery

	Unwanted bool
}

// AnswerKept is how much of an answer is kept, and answerRead how much is read.
const (
	AnswerKept = 1 << 10
	answerRead = 4 << 10
)

// ErrorClass says why a try failed.
type ErrorClass string

// The classes.
const (
	ClassStatus     ErrorClass = "status"      // an answer that is neither 2xx nor 3xx
	ClassRedirect   ErrorClass = "redirect"    // 3xx: never followed
	ClassTimeout    ErrorClass = "timeout"     // no answer in time
	ClassConnect    ErrorClass = "connect"     // refused, or no route
	ClassDNS        ErrorClass = "dns"         // the name is not known
	ClassTLS        ErrorClass = "tls"         // the certificate, or the handshake
	ClassNotAllowed ErrorClass = "not_allowed" // the name leads to an address that is not public
	ClassBroken     ErrorClass = "broken"      // the connection ended in the middle, or the answer is no HTTP
	ClassGone       ErrorClass = "event_gone"  // the event is older than the journal keeps
	ClassInternal   ErrorClass = "internal"    // Portaria could not make the request: the secret was sealed with another key
)
