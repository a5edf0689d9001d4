package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"

	"portaria/messaging"
)

// The codes with which WhatsApp refuses a message.
const (
	ackThrottled    = 429
	ackReachOut     = 463
	ackInvalid      = 479 // a stanza it does not understand, often for keys that have just changed
	ackServerErrors = 500
)

const (
	// maxPuzzles is how often a message is tried that WhatsApp refuses for a cause
	// that nobody knows, or that a file's upload fails.
	maxPuzzles = 5
	// maxThrottles is how often a message is tried that WhatsApp refuses because the
	// number sends too much: for most of an hour.
	maxThrottles = 20
)

// The faults of a message that come from us.
var (
	errNotOnWhatsApp = errors.New("the number is not on WhatsApp")
	errUnknownYet    = errors.New("WhatsApp has not said whether the number exists")
	errUnsendable    = errors.New("this kind of message cannot be sent")
	errNoFile        = errors.New("the file is not there")
	errUpload        = errors.New("the file was not uploaded")
)

// judge says what an error means for a message.
func (s *sending) judge(ctx context.Context, m *messaging.Outgoing, err error) messaging.Outcome {
	if ctx.Err() != nil {
		return messaging.Outcome{Verdict: messaging.Deferred} // we are closing
	}
	switch {
	case errors.Is(err, errNotOnWhatsApp):
		return refused("NOT_ON_WHATSAPP", "The number is not on WhatsApp.")
	case errors.Is(err, errUnsendable):
		return refused("PROVIDER_ERROR", "This channel cannot send this kind of message.")
	case errors.Is(err, errNoFile):
		return refused("MEDIA_UPLOAD_FAILED", "The file is not there any more.")
	case errors.Is(err, whatsmeow.ErrServerReturnedError):
		return s.judgeCode(m, codeOf(err))
	case errors.Is(err, whatsmeow.ErrNotConnected), errors.Is(err, whatsmeow.ErrNotLoggedIn), isDisconnect(err):
		return messaging.Outcome{Verdict: messaging.Deferred}
	case errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.Is(err, whatsmeow.ErrIQTimedOut), errors.Is(err, context.DeadlineExceeded):
		if !s.alive(ctx) {
			return messaging.Outcome{Verdict: messaging.Deferred}
		}
		return s.later(m, nil)
	case errors.Is(err, errUpload):
		s.log.Warn("file not uploaded", "message_id", m.MessageID, "attempt", m.Attempt, "error", err)
		if m.Attempt >= maxPuzzles {
			return refused("MEDIA_UPLOAD_FAILED", "WhatsApp did not take the file.")
		}
		return s.later(m, &messaging.SendError{Code: "MEDIA_UPLOAD_FAILED", Message: "WhatsApp did not take the file; it will be tried again."})
	default:
		s.log.Warn("message not sent; trying again", "message_id", m.MessageID, "attempt", m.Attempt, "error", err)
		return s.later(m, nil)
	}
}

// judgeCode says what a refusal of WhatsApp means.
func (s *sending) judgeCode(m *messaging.Outgoing, code int) messaging.Outcome {
	s.log.Info("message refused", "message_id", m.MessageID, "attempt", m.Attempt, "code", code)
	switch {
	case code == ackReachOut:
		until := s.reach.lock(s.now().Add(s.timing.ColdHold))
		return messaging.Outcome{Verdict: messaging.Held, Due: until, Error: errReachOut()}
	case code == ackThrottled:
		o := s.later(m, errThrottled())
		if s.reach.throttle(m.WAMessageID, o.Due) >= maxThrottles {
			s.reach.settle(m.WAMessageID)
			return messaging.Outcome{Verdict: messaging.Refused, Error: errThrottled()}
		}
		return o
	case code >= ackServerErrors, code == ackInvalid && m.Attempt < maxPuzzles:
		return s.later(m, errProvider(code))
	case isFinal(code), m.Attempt >= maxPuzzles:
		return messaging.Outcome{Verdict: messaging.Refused, Error: errProvider(code)}
	default:
		return s.later(m, errProvider(code))
	}
}

// isFinal reports whether a refusal would be the same for the same message.
func isFinal(code int) bool {
	switch code {
	case 400, 401, 403, 404, 405, 406, 409, 410, 413, 415:
		return true
	default:
		return false
	}
}

// later is the outcome of a temporary fault.
func (s *sending) later(m *messaging.Outgoing, why *messaging.SendError) messaging.Outcome {
	delay := backoff(max(0, m.Attempt-1)+s.waits.of(m.To.WAID), s.timing.RetryMin, s.timing.RetryMax)
	return messaging.Outcome{Verdict: messaging.Deferred, Due: s.now().Add(delay).Truncate(time.Microsecond), Error: why}
}

func refused(code, sentence string) messaging.Outcome {
	return messaging.Outcome{Verdict: messaging.Refused, Error: &messaging.SendError{Code: code, Message: sentence}}
}

func errThrottled() *messaging.SendError {
	return &messaging.SendError{Code: "PROVIDER_THROTTLED", Message: "WhatsApp asks this number to send more slowly."}
}

func errReachOut() *messaging.SendError {
	return &messaging.SendError{Code: "REACHOUT_TIMELOCKED", Message: "WhatsApp does not let this number write to people who have never written to it, for a while."}
}

func errProvider(code int) *messaging.SendError {
	return &messaging.SendError{Code: "PROVIDER_ERROR", Message: fmt.Sprintf("WhatsApp refused the message with code %d.", code)}
}

func isDisconnect(err error) bool {
	_, ok := errors.AsType[*whatsmeow.DisconnectedError](err)
	return ok
}

// codeOf reads the number out of whatsmeow's sentence, which has no field for
// it; 0 when there is none.
func codeOf(err error) int {
	text := err.Error()
	code, _ := strconv.Atoi(text[strings.LastIndexByte(text, ' ')+1:])
	return code
}
