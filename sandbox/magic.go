package sandbox

import (
	"time"

	"portaria/messaging"
)

// The error codes that the simulated network fails with (API.md section 6).
const (
	codeNotOnWhatsApp    = "NOT_ON_WHATSAPP"
	codeRecipientBlocked = "RECIPIENT_BLOCKED"
	codeThrottled        = "PROVIDER_THROTTLED"
	codeTimelocked       = "REACHOUT_TIMELOCKED"
	codeLoggedOut        = "INSTANCE_LOGGED_OUT"
	codeMediaUpload      = "MEDIA_UPLOAD_FAILED"
	codeExpired          = "EXPIRED_IN_QUEUE"
	codeCanceled         = "CANCELED"
	codeProvider         = "PROVIDER_ERROR"
)

// When things follow a message's acknowledgement, and how long faults last.
const (
	deliveredAfter = 100 * time.Millisecond
	againAfter     = 200 * time.Millisecond
	readAfter      = 300 * time.Millisecond
	echoAfter      = 400 * time.Millisecond

	slowAck        = 30 * time.Second
	hiccupTries    = 2
	hiccupDelay    = time.Second // times the number of the try
	dropDelay      = time.Second
	reconnectAfter = 500 * time.Millisecond
	timelock       = time.Hour
)

// entry is how a message gets into the network.
type entry uint8

const (
	carry  entry = iota // it is taken
	refuse              // final fault
	hiccup              // the first two tries meet a temporary fault
	drop                // the first try loses the connection, which comes back by itself
	logout              // the first try finds the instance logged out
	hold                // the first try meets a lock on strangers
)

// at returns how the n-th try goes.
func (e entry) at(attempt int) entry {
	switch e {
	case carry, refuse:
		return e
	case hiccup:
		if attempt <= hiccupTries {
			return hiccup
		}
	case drop, logout, hold:
		if attempt <= 1 {
			return e
		}
	}
	return carry
}

// stepKind is something that the network tells after it took a message.
type stepKind uint8

const (
	stepSent stepKind = iota // the acknowledgement, when it is late
	stepDelivered
	stepRead
	stepEcho
)

// step is told so long after the acknowledgement.
type step struct {
	kind  stepKind
	after time.Duration
}

// plan is all that will happen to one message.
type plan struct {
	entry entry
	code  string        // of refuse
	ack   time.Duration // latency before the network acknowledges
	steps []step        // what it tells then; shared, never changed
}

// The lists of steps. Nothing writes to them.
var (
	silence       = []step(nil)
	deliveredOnly = []step{{stepDelivered, deliveredAfter}}
	happySteps    = []step{{stepDelivered, deliveredAfter}, {stepRead, readAfter}}
	twiceSteps    = []step{{stepDelivered, deliveredAfter}, {stepDelivered, againAfter}, {stepRead, readAfter}}
	swappedSteps  = []step{{stepRead, deliveredAfter}, {stepDelivered, readAfter}}
	echoSteps     = []step{{stepDelivered, deliveredAfter}, {stepRead, readAfter}, {stepEcho, echoAfter}}
)

// RefusesAtOnce reports whether the sandbox knows an address for one that
// cannot exist (+1 500 555 0001): the message is refused when it is accepted,
// with INVALID_RECIPIENT, and reaches no channel.
func RefusesAtOnce(to messaging.Address) bool { return magicDigits(to) == "0001" }

// planFor decides what happens to a message. It depends on nothing else.
func planFor(to messaging.Address, override *messaging.Override) plan {
	p := recipientPlan(to)
	if override == nil {
		return p
	}
	return overridden(p, override)
}

// recipientPlan is the table of magic recipients in API.md section 10; whoever
// is not in it gets, and reads, everything.
func recipientPlan(to messaging.Address) plan {
	switch magicDigits(to) {
	case "0001", "0009":
		return plan{entry: refuse, code: codeNotOnWhatsApp}
	case "0010", "0011":
		return plan{steps: silence}
	case "0012":
		return plan{steps: deliveredOnly}
	case "0013":
		return plan{entry: hiccup, steps: happySteps}
	case "0014":
		return plan{entry: drop, steps: happySteps}
	case "0015":
		return plan{entry: refuse, code: codeThrottled}
	case "0016":
		return plan{steps: twiceSteps}
	case "0017":
		return plan{steps: swappedSteps}
	case "0018":
		return plan{ack: slowAck, steps: happySteps}
	case "0019":
		return plan{steps: echoSteps}
	case "0020":
		return plan{entry: logout, steps: happySteps}
	case "0021":
		return plan{entry: hold, steps: happySteps}
	default:
		return plan{steps: happySteps}
	}
}

// magicDigits returns the last four digits of a number in the sandbox's range,
// or "".
func magicDigits(to messaging.Address) string {
	if !to.IsSandboxNumber() {
		return ""
	}
	phone := to.Phone()
	return phone[len(phone)-4:]
}

// owes reports whether anything is left to tell once the network has taken the
// message.
func (p plan) owes() bool { return p.ack > 0 || len(p.steps) > 0 }

// sendError puts a code into a sentence for people.
func sendError(code string) *messaging.SendError {
	return &messaging.SendError{Code: code, Message: sentence(code)}
}

func sentence(code string) string {
	switch code {
	case codeNotOnWhatsApp:
		return "The recipient is not on WhatsApp."
	case codeRecipientBlocked:
		return "The recipient has blocked this number."
	case codeThrottled:
		return "The network refuses more messages from this number."
	case codeTimelocked:
		return "The network lets this number write only to people who wrote to it, until a lock ends."
	case codeLoggedOut:
		return "The instance was logged out."
	case codeMediaUpload:
		return "The media could not be uploaded."
	case codeExpired:
		return "The message expired before the network took it."
	case codeCanceled:
		return "The message was canceled."
	case codeProvider:
		return "The network could not take the message."
	default:
		return ""
	}
}
