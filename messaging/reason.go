package messaging

// The reasons of an instance's state, as state_reason shows them. A reason is
// a code that programs may rely on; instances.Sentence says it to people. An
// empty reason needs no explanation.
const (
	// What the owner wanted.
	ReasonDisconnectedByOwner = "disconnected_by_owner"
	ReasonLoggedOutByOwner    = "logged_out_by_owner"

	// A pairing that ended without a phone: the instance is created again.
	ReasonPairingTimeout = "pairing_timeout" // nobody scanned the code in time
	ReasonPairingFailed  = "pairing_failed"  // the network refused it

	// The session is gone, and a phone must be linked again.
	ReasonDeviceRemoved = "device_removed" // unlinked on the phone
	ReasonUnauthorized  = "unauthorized"   // the network does not know the session any more
	ReasonSessionLost   = "session_lost"   // our own record of the session is missing

	// The connection ended, and is made anew by itself.
	ReasonConnectionLost     = "connection_lost"
	ReasonServerError        = "server_error"        // the network said that it is in trouble, or refused without a known cause
	ReasonNoTraffic          = "no_traffic"          // it looked open, but nothing came through
	ReasonNetworkUnreachable = "network_unreachable" // no connection can be made
	ReasonProxyUnreachable   = "proxy_unreachable"   // the instance's proxy does not answer

	// The connection ended, and only the owner can bring it back.
	ReasonStreamReplaced = "stream_replaced" // another program uses the same session
	ReasonClientOutdated = "client_outdated" // the network refuses this version

	// The number itself is in trouble.
	ReasonTemporaryBan = "temporary_ban" // until Instance.StateUntil
	ReasonBanned       = "banned"
)

// InstanceEvent returns the type of the event that tells of a state; empty for
// connecting, which is shown but is no event. An instance becomes created again
// when a pairing ends without a phone; that is told as a disconnection.
func InstanceEvent(s InstanceState) EventType {
	switch s {
	case InstancePairing:
		return EventInstancePairing
	case InstanceConnected:
		return EventInstanceConnected
	case InstanceDisconnected, InstanceCreated:
		return EventInstanceDisconnected
	case InstanceLoggedOut:
		return EventInstanceLoggedOut
	case InstanceRestricted:
		return EventInstanceRestricted
	case InstanceBanned:
		return EventInstanceBanned
	case InstanceConnecting:
	}
	return ""
}
