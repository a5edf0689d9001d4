package messaging

import (
	"slices"
	"strings"
	"time"
)

// Webhook is an endpoint of a workspace's environment that is told of events.
type Webhook struct {
	ID          string
	WorkspaceID string
	Environment Environment
	URL         string
	Description string
	Events      []string // types, families as message.*, or * for all
	Instances   []string // ids; nil: all instances, also those to come, and what concerns none
	Chats       Chats
	Ordered     bool // the events of one instance come one after the other
	Enabled     bool

	MaxAttempts int             // 0: as many as Schedule has
	Schedule    []time.Duration // the wait before each try; nil: the usual one

	// DisabledReason says why Portaria has switched it off (Reason…); empty: its
	// owner did, or nobody.
	DisabledReason string
	DisabledAt     time.Time
	FailingSince   time.Time // the first failure since the last success; zero: none

	// SecretRotatedUntil is how long the secret before this one is valid as well.
	SecretRotatedUntil time.Time
	CreatedAt          time.Time
}

// Why Portaria switches a webhook off.
const (
	ReasonGone    = "gone"    // it answered 410
	ReasonFailing = "failing" // nothing succeeded for days
)

// Chats says from which chats an endpoint hears of messages. What is not about a
// message is told whatever it says.
type Chats string

// The chats of API.md's filters.
const (
	AllChats    Chats = "all"
	DirectChats Chats = "direct"
	GroupChats  Chats = "group"
)

// World is a workspace's environment as a whole: what works for all its callers
// names it. What works for one caller is given a Tenancy.
type World struct {
	WorkspaceID string      `db:"workspace_id"`
	Environment Environment `db:"environment"`
}

// Hears reports whether an enabled endpoint is told of an event, by its type and
// its instance. From which chat a message comes is for Chats to say. What
// concerns no instance is told to endpoints that are not narrowed to some.
func (w *Webhook) Hears(e *Event) bool {
	if !w.Enabled || w.Instances != nil && !e.OpenTo(OnlyInstances(w.Instances...)) {
		return false
	}
	return slices.ContainsFunc(w.Events, func(pattern string) bool { return e.Type.Matches(pattern) })
}

// OpenTo reports whether an allowlist opens an event: its instance, or all those
// of a bulk over several. What concerns no instance is for those who may see all.
func (e *Event) OpenTo(a Allowlist) bool {
	if e.Bulk != nil && e.InstanceID == "" {
		return a.OpensAll(e.Bulk.InstanceIDs)
	}
	return a.Opens(e.InstanceID)
}

// OpensAll reports whether every one of some instances is open; of none, whether
// all are.
func (a Allowlist) OpensAll(instanceIDs []string) bool {
	return a.all || len(instanceIDs) > 0 && !slices.ContainsFunc(instanceIDs, func(id string) bool { return !a.Opens(id) })
}

// Matches reports whether a type is what a pattern says: the type itself, its
// family as in message.*, or * for all. A test is told to nobody by a pattern.
func (t EventType) Matches(pattern string) bool {
	if t == EventWebhookTest {
		return false
	}
	family, whole := strings.CutSuffix(pattern, "*")
	return pattern == string(t) || whole && (family == "" || strings.HasSuffix(family, ".") && strings.HasPrefix(string(t), family))
}

// Admit reports whether an event may be told: it is not about a message, or its
// chat is one of these.
func (c Chats) Admit(e *Event) bool {
	if c == AllChats || c == "" || e.Message == nil {
		return true
	}
	return (e.Message.Peer.Group() != "") == (c == GroupChats)
}
