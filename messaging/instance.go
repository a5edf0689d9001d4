package messaging

import (
	"fmt"
	"math/rand/v2"
	"time"
)

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

// Ask is an act on an instance's connection that its owner has asked for and
// that has not been done yet. It is stored, so a crash does not forget it.
type Ask string

// The asks.
const (
	AskNothing Ask = ""
	AskConnect Ask = "connect" // connect, or begin pairing when no phone is linked
	AskRestart Ask = "restart" // drop the connection and make it anew
	AskLogout  Ask = "logout"  // unlink the phone and forget the session
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
	LinkedID    string // what the driver knows the linked session by; empty while no phone is linked
	Relinked    bool   // another phone was linked than before, and what waited for that one has not been failed yet
	// RelinkedPlace is the place in the outbox of the last message that waited when
	// the other phone was linked: what comes behind it is meant for that one. Only
	// the store sets it.
	RelinkedPlace int64
	Ask           Ask // what the owner asked for and has not been done
	AskedAt       time.Time
	PairPhone     string // digits: pair by a code typed on this phone; empty: by QR
	Metadata      []byte // a JSON object
	Settings      []byte // a JSON object
	CreatedAt     time.Time
}

// Linked reports whether a phone is linked to the instance.
func (i *Instance) Linked() bool { return i.LinkedID != "" }

// Apply moves an instance by what was seen of it. It alone decides what a
// change means; the store and the memory both use it. changed says that the
// instance is another one now, told that the change is an event.
//
// What is asked of an instance after a change was seen outlives the change: an
// ask is done only by the change that names it, and a desire ends only when no
// ask is open.
func (i *Instance) Apply(c InstanceChange) (changed, told bool) {
	if c.State != "" && (i.State != c.State || i.StateReason != c.Reason) {
		i.State, i.StateReason, i.StateSince, i.StateUntil = c.State, c.Reason, c.At, c.Until
		changed, told = true, c.Type != ""
	}
	if c.State != "" && !i.StateUntil.Equal(c.Until) {
		i.StateUntil, changed = c.Until, true
	}
	if c.Linked != nil && i.link(*c.Linked) {
		changed = true
	}
	if i.Ask != AskNothing && !c.Done.IsZero() && i.AskedAt.Equal(c.Done) {
		i.Ask, changed = AskNothing, true
	}
	if c.Undone && i.Ask == AskNothing && i.Desired != DesiredDisconnected {
		i.Desired, changed = DesiredDisconnected, true
	}
	return changed, told
}

// link takes in the phone that is linked now, and reports whether that is news.
func (i *Instance) link(l Link) bool {
	if l.ID == "" {
		was := i.LinkedID
		i.LinkedID = ""
		return was != ""
	}
	other := l.Phone != "" && l.Phone != i.Phone
	news := other || l.ID != i.LinkedID || l.PushName != "" && l.PushName != i.PushName
	i.LinkedID = l.ID
	if other {
		i.Relinked = i.Relinked || i.Phone != ""
		i.Phone, i.PushName = l.Phone, l.PushName
	}
	if l.PushName != "" {
		i.PushName = l.PushName
	}
	return news
}

// Pairing is what an instance that is being paired shows its owner. It is a
// short-lived row, so every process can show it.
type Pairing struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	QR          string // the text of the QR; empty when pairing by a code
	Code        string // ABCD-1234, to be typed on the phone; empty when pairing by QR
	ExpiresAt   time.Time
}

// NumberCheck is what the network says of a number.
type NumberCheck struct {
	Input  string
	WAID   string // digits@s.whatsapp.net as the network writes it; empty when unknown
	LID    string // …@lid; empty when unknown
	Exists bool
}

// NewSandboxPhone draws the number of a test instance from +1 555 555 0000 to
// 9999: a range that belongs to no subscriber and is not one of the sandbox's
// magic recipients.
func NewSandboxPhone() string { return fmt.Sprintf("1555555%04d", rand.IntN(10000)) }

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
