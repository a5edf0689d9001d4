package channeltest

import (
	"fmt"
	"net/http"

	"portaria/gateway/gatewaytest"
)

// asWritten are the members whose values must be equal on all networks. Of
// others it matters whether they are there, and of which type they are. Attempts
// are among these: a frame that goes out again with the next connection is the
// same attempt on one network, and another on the next.
func asWritten(member string) bool {
	switch member {
	case "type", "direction", "status", "code", "api_version",
		"state", "state_reason", "desired", "name", "metadata", "settings",
		"body", "preview_url", "mime_type", "filename", "caption", "size", "sha256", "voice", "emoji", "from_me", "exists",
		"latitude", "longitude", "formatted_name", "email", "question", "multiple":
		return true
	default:
		return false
	}
}

// shapes returns what callers see of the story without what must differ: the
// events of each subject, and how each stands at the end.
func (s *stage) shapes() map[string]any {
	s.t.Helper()
	seen := make(map[string]any)
	for _, subject := range s.subjects() {
		for i, e := range subject.events {
			seen[fmt.Sprintf("%s, event %d", subject.name, i+1)] = shapeOf("", e.whole)
		}
		if subject.id == "" {
			continue
		}
		var now any
		s.call(http.MethodGet, "/v1/messages/"+subject.id, "", http.StatusOK, &now)
		seen[subject.name+", at the end"] = shapeOf("", now)
	}
	path := "/v1/instances/" + name
	if s.api.Do(s.t, gatewaytest.Request{Method: http.MethodGet, Path: path, Token: s.world.Key()}).Status == http.StatusOK {
		var now any
		s.call(http.MethodGet, path, "", http.StatusOK, &now)
		seen["instance, at the end"] = shapeOf("", now)
	}
	return seen
}

// shapeOf replaces the values that may differ by the names of their types.
func shapeOf(member string, value any) any {
	if asWritten(member) {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[name] = shapeOf(name, inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = shapeOf("", inner)
		}
		return out
	case nil:
		return nil
	case string:
		return "a string"
	case float64:
		return "a number"
	default:
		return value
	}
}
