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

// knownPattern reports whether a pattern admits any type that there is, or is to
// be. A test is admitted by none.
func knownPattern(pattern string) bool {
	if pattern != allEvents && strings.Contains(pattern, "*") && !strings.HasSuffix(pattern, ".*") {
		return false
	}
	return slices.ContainsFunc(messaging.EventTypes, func(t messaging.EventType) bool { return t.Matches(pattern) })
}
