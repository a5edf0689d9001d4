package sandbox

import "portaria/messaging"

// Predict tells where a message to a test recipient ends: the status that its
// last receipt brings, or the code that it fails with. For a recipient that logs
// its instance out it is that code, though the message only waits.
func Predict(to messaging.Address, override *messaging.Override) string {
	if override == nil && RefusesAtOnce(to) {
		return "INVALID_RECIPIENT"
	}
	p := planFor(to, override)
	if p.entry == refuse {
		return p.code
	}
	if p.entry == logout {
		return codeLoggedOut
	}
	end := messaging.StatusSent
	for _, s := range p.steps {
		switch {
		case s.kind == stepRead:
			end = messaging.StatusRead
		case s.kind == stepDelivered && end == messaging.StatusSent:
			end = messaging.StatusDelivered
		}
	}
	return string(end)
}
