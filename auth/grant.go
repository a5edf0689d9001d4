package auth

import (
	"time"

	"portaria/messaging"
)

// AllowedInstance is one instance that a locked key opens.
type AllowedInstance struct {
	ID   string
	Name string
}

// Grant is what a verified key may do. It is shared by all requests of the key
// and must not be changed.
type Grant struct {
	KeyID       string // key_ and the token's public id
	Name        string
	Lineage     string // the id of the first key of the rotation chain
	Workspace   string
	Environment messaging.Environment
	Scopes      ScopeSet

	AllInstances bool
	Instances    []AllowedInstance // the lock's list; empty when AllInstances

	ExpiresAt         time.Time // zero: never
	RatePerMinute     int64
	RateBurst         int64
	MessagesPerMinute int64 // zero: no limit of its own

	Requests *Bucket // one token a request
	Messages *Bucket // one token a recipient; nil when MessagesPerMinute is zero

	ids []string // of Instances, as a tenancy wants them
}

// newGrant reads a key's record. Buckets are the caller's to set.
func newGrant(r *Record) Grant {
	g := Grant{
		KeyID:             r.ID,
		Name:              r.Name,
		Lineage:           r.Lineage,
		Workspace:         r.Workspace,
		Environment:       r.Environment,
		Scopes:            storedScopes(r.Scopes),
		AllInstances:      r.AllInstances,
		ExpiresAt:         r.ExpiresAt,
		RatePerMinute:     r.RatePerMinute,
		RateBurst:         r.RateBurst,
		MessagesPerMinute: r.MessagesPerMinute,
	}
	if !r.AllInstances {
		g.Instances = r.Instances
		for _, allowed := range r.Instances {
			g.ids = append(g.ids, allowed.ID)
		}
	}
	return g
}

// Tenancy returns what the key may touch. It does not allocate.
func (g *Grant) Tenancy() messaging.Tenancy {
	allowlist := messaging.OnlyInstances(g.ids...)
	if g.AllInstances {
		allowlist = messaging.AllInstances()
	}
	return messaging.NewTenancy(g.Workspace, g.Environment, allowlist)
}

// Locked reports whether the key opens only the instances of its list.
func (g *Grant) Locked() bool { return !g.AllInstances }

// Can reports whether the key carries scope.
func (g *Grant) Can(scope Scope) bool { return g.Scopes.Has(scope) }

// InstanceID resolves an id or a name inside the lock, without a database.
// It is false for everything outside the list, existing or not, and for a key
// that is not locked.
func (g *Grant) InstanceID(ref string) (id string, ok bool) {
	for _, allowed := range g.Instances {
		if ref != "" && (allowed.ID == ref || allowed.Name == ref) {
			return allowed.ID, true
		}
	}
	return "", false
}

// expired reports whether the key's time is over.
func (g *Grant) expired(now time.Time) bool {
	return !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt)
}
