package webhooks

import (
	"slices"
	"strconv"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// allEvents is the pattern of every event.
const allEvents = "*"

// eventTypes are the types that an endpoint may name: those of API.md section 8,
// also those that no part of Portaria records yet.
var eventTypes = slices.Concat(messageTypes(), []messaging.EventType{
	messaging.EventMessageEdited, messaging.EventMessageRevoked, messaging.EventMessageReaction,
	messaging.EventInstanceCreated, messaging.EventInstancePairing, messaging.EventInstanceConnected, messaging.EventInstanceDisconnected,
	messaging.EventInstanceRestricted, messaging.EventInstanceBanned, messaging.EventInstanceLoggedOut, messaging.EventInstanceDeleted,
	"bulk.started", "bulk.paused", "bulk.completed", "bulk.canceled",
	messaging.EventCallReceived, messaging.EventWebhookDisabled,
})

func messageTypes() (types []messaging.EventType) {
	for _, s := range messaging.Statuses {
		if t, told := messaging.MessageEvent(s); told {
			types = append(types, t)
		}
	}
	return types
}

// checkEvents notes what is wrong with a list of patterns.
func checkEvents(fields *fault.Fields, patterns []string) {
	if len(patterns) == 0 || len(patterns) > maxEvents {
		fields.Add("events", "length", "must name 1 to 50 types, families as message.*, or * for all")
		return
	}
	for i, pattern := range patterns {
		if !knownPattern(pattern) {
			fields.Add("events["+strconv.Itoa(i)+"]", "enum", "must be a type of event, a family as message.*, or * for all")
		}
	}
}

// knownPattern reports whether a pattern admits any type that there is.
func knownPattern(pattern string) bool {
	if pattern != allEvents && strings.Contains(pattern, "*") && !strings.HasSuffix(pattern, ".*") {
		return false
	}
	return slices.ContainsFunc(eventTypes, func(t messaging.EventType) bool { return t.Matches(pattern) })
}
