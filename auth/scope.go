package auth

import (
	"slices"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Scope is one right that a key can carry, written resource:action.
type Scope string

// The scopes of API.md section 3. A new one is a line here and a line in
// AllScopes.
const (
	WhatsAppSend   Scope = "whatsapp:send"
	WhatsAppManage Scope = "whatsapp:manage"
	WhatsAppRead   Scope = "whatsapp:read"
	MessagesRead   Scope = "messages:read"
	BulkWrite      Scope = "bulk:write"
	BulkRead       Scope = "bulk:read"
	ContactsRead   Scope = "contacts:read"
	ContactsWrite  Scope = "contacts:write"
	ChatsRead      Scope = "chats:read"
	ChatsWrite     Scope = "chats:write"
	WebhooksRead   Scope = "webhooks:read"
	WebhooksManage Scope = "webhooks:manage"
	EventsRead     Scope = "events:read"
	LogsRead       Scope = "logs:read"
	SandboxRun     Scope = "sandbox:run"
)

// AllScopes lists every scope. It must not be changed.
var AllScopes = []Scope{
	WhatsAppSend,
	WhatsAppManage,
	WhatsAppRead,
	MessagesRead,
	BulkWrite,
	BulkRead,
	ContactsRead,
	ContactsWrite,
	ChatsRead,
	ChatsWrite,
	WebhooksRead,
	WebhooksManage,
	EventsRead,
	LogsRead,
	SandboxRun,
}

// anything is the pattern that opens every scope, present and future.
const anything = "*"

// resource returns what stands before the colon.
func (s Scope) resource() string {
	r, _, _ := strings.Cut(string(s), ":")
	return r
}

// includedIn returns the scope that opens s besides s itself; "" for most.
func (s Scope) includedIn() Scope {
	if s == WhatsAppRead {
		return WhatsAppManage
	}
	return ""
}

// patterns is all that may be written where a key's scopes are listed: every
// scope, every resource:*, and *. A ScopeSet has a bit for each, in this order.
var patterns = listPatterns()

// openers has, for every scope of AllScopes, the patterns that open it.
var openers = listOpeners()

func listPatterns() []string {
	var names []string
	for _, s := range AllScopes {
		names = append(names, string(s))
	}
	for _, s := range AllScopes {
		if wildcard := s.resource() + ":*"; !slices.Contains(names, wildcard) {
			names = append(names, wildcard)
		}
	}
	return append(names, anything)
}

func listOpeners() []ScopeSet {
	sets := make([]ScopeSet, len(AllScopes))
	for i, s := range AllScopes {
		for _, name := range []string{string(s), string(s.includedIn()), s.resource() + ":*", anything} {
			sets[i].add(name)
		}
	}
	return sets
}

// ScopeSet is the scopes of a key, with wildcards as they were written. The
// zero value opens nothing. Sets are comparable with ==.
type ScopeSet struct{ written uint64 }

// ParseScopes reads names, resource:* and *. It refuses an empty list, unknown
// names, and what belongs to the sandbox for a live key.
// Faults: fault.ErrValidation, field scopes.
func ParseScopes(names []string, environment messaging.Environment) (ScopeSet, error) {
	var set ScopeSet
	var refused fault.Fields
	if len(names) == 0 {
		refused.Add("scopes", "required", "must name at least one scope")
	}
	for _, name := range names {
		switch {
		case !set.add(name):
			refused.Add("scopes", "enum", "holds a name that is not a scope")
		case environment != messaging.Test && Scope(name).resource() == SandboxRun.resource():
			refused.Add("scopes", "environment", "sandbox scopes are for test keys only")
		}
	}
	return set, refused.Err()
}

// storedScopes reads the text of a key's row. A name that this version does
// not know, written by a newer one, opens nothing here.
func storedScopes(text string) ScopeSet {
	var set ScopeSet
	for name := range strings.FieldsSeq(text) {
		set.add(name)
	}
	return set
}

func (s *ScopeSet) add(name string) bool {
	i := slices.Index(patterns, name)
	if i < 0 {
		return false
	}
	s.written |= 1 << i
	return true
}

// Has reports whether the set opens scope.
func (s ScopeSet) Has(scope Scope) bool {
	i := slices.Index(AllScopes, scope)
	return i >= 0 && s.written&openers[i].written != 0
}

// Strings returns what was written, in the order of AllScopes, wildcards last.
func (s ScopeSet) Strings() []string {
	names := []string{}
	for i, name := range patterns {
		if s.written&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
