package messaging

import "slices"

// Allowlist says which instances a caller may see and use. The zero value
// opens nothing.
type Allowlist struct {
	all bool
	ids []string
}

// AllInstances opens every instance of the tenancy.
func AllInstances() Allowlist { return Allowlist{all: true} }

// OnlyInstances opens the instances with the given ids and no others.
func OnlyInstances(ids ...string) Allowlist { return Allowlist{ids: ids} }

// All reports whether every instance is open.
func (a Allowlist) All() bool { return a.all }

// IDs returns the listed ids; nil when All. Callers must not change it.
func (a Allowlist) IDs() []string { return a.ids }

// Opens reports whether the instance with that id is open.
func (a Allowlist) Opens(instanceID string) bool {
	return a.all || slices.Contains(a.ids, instanceID)
}

// Tenancy is what a caller may touch: one workspace, one environment, and the
// instances of an allowlist. Every query takes one; there is no way to ask for
// a bare id.
type Tenancy struct {
	workspace   string
	environment Environment
	allowlist   Allowlist
}

// NewTenancy builds a tenancy. Only auth (from a verified key), cmd (for the
// operator) and store (in its recovery scans) may call it.
func NewTenancy(workspace string, environment Environment, allowlist Allowlist) Tenancy {
	return Tenancy{workspace: workspace, environment: environment, allowlist: allowlist}
}

// Workspace returns the workspace's id.
func (t Tenancy) Workspace() string { return t.workspace }

// Environment returns the environment.
func (t Tenancy) Environment() Environment { return t.environment }

// Allowlist returns the instances that are open.
func (t Tenancy) Allowlist() Allowlist { return t.allowlist }
