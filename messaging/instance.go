package messaging

import "time"

// DriverName names the kind of network behind an instance.
type DriverName string

// The drivers.
const (
	DriverSandbox  DriverName = "sandbox"
	DriverWhatsApp DriverName = "whatsapp"
)

// Desired is what the owner wants of an instance. An outage never changes it.
type Desired string

// The desires.
const (
	DesiredConnected    Desired = "connected"
	DesiredDisconnected Desired = "disconnected"
)

// InstanceState is what an instance was last seen to be.
type InstanceState string

// The states of API.md section 5.
const (
	InstanceCreated      InstanceState = "created"
	InstancePairing      InstanceState = "pairing"
	InstanceConnecting   InstanceState = "connecting"
	InstanceConnected    InstanceState = "connected"
	InstanceDisconnected InstanceState = "disconnected"
	InstanceLoggedOut    InstanceState = "logged_out"
	InstanceRestricted   InstanceState = "restricted"
	InstanceBanned       InstanceState = "banned"
)

// Instance is one phone number behind the API.
type Instance struct {
	ID          string
	WorkspaceID string
	Environment Environment
	Name        string
	Driver      DriverName
	Desired     Desired
	State       InstanceState
	StateReason string
	StateSince  time.Time
	StateUntil  time.Time // when a temporary state ends; zero when unknown
	Phone       string    // digits, empty until linked
	PushName    string
	Metadata    []byte // a JSON object
	Settings    []byte // a JSON object
	CreatedAt   time.Time
}

// LiveInstance is an instance of the live environment. Only Instance.Live
// makes one, so a test instance can never reach a driver that dials.
type LiveInstance struct{ instance Instance }

// TestInstance is an instance of the test environment. Only Instance.Test
// makes one.
type TestInstance struct{ instance Instance }

// Live returns the instance as a live one; false when it is not.
func (i Instance) Live() (LiveInstance, bool) {
	return LiveInstance{i}, i.Environment == Live
}

// Test returns the instance as a test one; false when it is not.
func (i Instance) Test() (TestInstance, bool) {
	return TestInstance{i}, i.Environment == Test
}

// Instance returns the facts of a live instance.
func (l LiveInstance) Instance() Instance { return l.instance }

// Instance returns the facts of a test instance.
func (t TestInstance) Instance() Instance { return t.instance }
