package messaging

import "time"

// PaceSpent says that an instance has given its network messages that its pace
// counts. It is no event; it is recorded so that a new process knows what its
// predecessor has sent.
type PaceSpent struct {
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Phone       string // the number that sent them
	Messages    int
	At          time.Time
	First       bool // the number has not sent through this instance before
}

func (PaceSpent) record() {}
