package instances

import "portaria/messaging"

// Sentence says to people what the reason of an instance's state is, and what
// they can do about it; empty for no reason, and for one that is not known.
func Sentence(reason string) string {
	for _, s := range sentences() {
		if s.reason == reason {
			return s.text
		}
	}
	return ""
}

type sentence struct{ reason, text string }

// sentences are all reasons with what they mean.
func sentences() []sentence {
	return []sentence{
		{messaging.ReasonDisconnectedByOwner, "You disconnected this instance. Messages wait until you connect it again."},
		{messaging.ReasonLoggedOutByOwner, "You logged this instance out. Link a phone to use it again."},

		{messaging.ReasonPairingTimeout, "Nobody scanned the code in time. Connect again for a new one."},
		{messaging.ReasonPairingFailed, "WhatsApp refused the pairing. Wait a minute and try again."},

		{messaging.ReasonDeviceRemoved, "The phone's owner removed this device under Linked devices. Link the phone again to go on."},
		{messaging.ReasonUnauthorized, "WhatsApp no longer accepts this session. Link the phone again to go on."},
		{messaging.ReasonSessionLost, "The stored session of this instance is missing. Link the phone again to go on."},

		{messaging.ReasonConnectionLost, "The connection to WhatsApp was lost. It is being made again."},
		{messaging.ReasonServerError, "WhatsApp refuses connections at the moment. Another try is made by itself."},
		{messaging.ReasonNoTraffic, "Nothing came through the connection for a while. It is being made again."},
		{messaging.ReasonNetworkUnreachable, "WhatsApp cannot be reached from this server. Another try is made by itself."},
		{messaging.ReasonProxyUnreachable, "The proxy of this instance does not answer, or makes no connection. Another try is made by itself."},

		{messaging.ReasonStreamReplaced, "Another program connected with the same session. End it there, then connect again."},
		{messaging.ReasonClientOutdated, "WhatsApp no longer accepts this version of the gateway. Update it, then connect again."},

		{messaging.ReasonTemporaryBan, "WhatsApp has restricted this number for some time. It is connected again when that ends."},
		{messaging.ReasonBanned, "WhatsApp has banned this number. It cannot be used until WhatsApp lifts the ban."},
	}
}
