package outbox

import "portaria/messaging"

// NewParcel makes the parcel of a stored message at its place, after so many
// tries.
func NewParcel(m *messaging.Message, position int64, tries int) Parcel {
	return Parcel{
		Outgoing: messaging.Outgoing{
			WorkspaceID: m.WorkspaceID, Environment: m.Environment,
			MessageID: m.ID, InstanceID: m.InstanceID, WAMessageID: m.WAMessageID,
			To: m.Peer, Content: m.Content, Sandbox: m.Sandbox, Attempt: tries + 1,
		},
		Priority: m.Priority, Position: position, ExpiresAt: m.ExpiresAt,
	}
}

func (p *Parcel) lane() LaneRef {
	return LaneRef{WorkspaceID: p.WorkspaceID, Environment: p.Environment, InstanceID: p.InstanceID}
}

func (p *Parcel) key() recipient { return recipient{p.Priority, p.To.WAID} }

// recipient is what order is kept for inside a lane.
type recipient struct {
	priority messaging.Priority
	waID     string
}
