package whatsapp

import (
	"time"

	"go.mau.fi/whatsmeow/types/events"

	"portaria/messaging"
)

// ending is how a connection ended, and what follows.
type ending struct {
	state    messaging.InstanceState
	reason   string
	until    time.Time
	next     next
	unlinked bool // the session is worth nothing any more
}

// next is when the connection is made anew.
type next uint8

const (
	again  next = iota // with a growing delay
	seldom             // with the longest delay: nobody knows what is wrong
	atEnd              // when ending.until has come
	never              // when the owner asks for it
)

// lost is the ending of a connection that mends itself.
func lost(reason string) ending {
	return ending{state: messaging.InstanceDisconnected, reason: reason, next: again}
}

// unreachable is the ending of a connection that was not made.
func unreachable(err error) ending {
	if proxyFailed(err) {
		return lost(messaging.ReasonProxyUnreachable)
	}
	return lost(messaging.ReasonNetworkUnreachable)
}

// endingOf says what an event means for the connection; false when nothing.
func endingOf(evt any, now time.Time) (ending, bool) {
	switch e := evt.(type) {
	case *events.Disconnected:
		return lost(messaging.ReasonConnectionLost), true
	case *events.ManualLoginReconnect: // 515: the server wants a new connection
		return lost(messaging.ReasonConnectionLost), true
	case *events.StreamError:
		return lost(messaging.ReasonServerError), true
	case *events.KeepAliveTimeout:
		return lost(messaging.ReasonNoTraffic), e.ErrorCount >= deafPings
	case *events.StreamReplaced:
		return ending{state: messaging.InstanceDisconnected, reason: messaging.ReasonStreamReplaced, next: never}, true
	case *events.ClientOutdated:
		return ending{state: messaging.InstanceDisconnected, reason: messaging.ReasonClientOutdated, next: never}, true
	case *events.LoggedOut:
		return loggedOut(e), true
	case *events.TemporaryBan:
		return banned(e, now), true
	case *events.ConnectFailure:
		return ending{state: messaging.InstanceDisconnected, reason: messaging.ReasonServerError, next: seldom}, true
	default:
		return ending{}, false
	}
}

// deafPings is how many keepalives in a row may stay unanswered. Each is waited
// for 10 s, so the second says that a minute has passed in silence.
const deafPings = 2

func loggedOut(e *events.LoggedOut) ending {
	reason := messaging.ReasonDeviceRemoved
	if e.OnConnect {
		reason = messaging.ReasonUnauthorized
	}
	return ending{state: messaging.InstanceLoggedOut, reason: reason, next: never, unlinked: true}
}

// banned tells a ban with an end from one without: a server that states no end
// means for good.
func banned(e *events.TemporaryBan, now time.Time) ending {
	if e.Expire <= 0 {
		return ending{state: messaging.InstanceBanned, reason: messaging.ReasonBanned, next: never}
	}
	return ending{
		state: messaging.InstanceRestricted, reason: messaging.ReasonTemporaryBan,
		until: now.Add(e.Expire).Truncate(time.Millisecond), next: atEnd,
	}
}
